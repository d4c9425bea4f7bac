"""Parcels: what waits to be said, in pieces that a stream takes at once without making what follows wait for long."""

from collections.abc import Iterator
from typing import Final, Protocol, TypeVar

PARCEL_BYTES: Final = 256 * 1024
"""Bytes of messages in one piece, unless a single one is larger. gRPC refuses pieces of more than 4 MiB."""


class _Item(Protocol):
    message: bytes


T = TypeVar("T", bound=_Item)


def parcels(items: list[T]) -> Iterator[list[T]]:
    """Yield the items in their order, piece by piece."""
    piece: list[T] = []
    size = 0
    for item in items:
        size += len(item.message)
        if piece and size > PARCEL_BYTES:
            yield piece
            piece, size = [], len(item.message)
        piece.append(item)
    if piece:
        yield piece
