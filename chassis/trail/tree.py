"""Merkle trees as in RFC 6962, section 2.1: leaves and nodes are hashed with a prefix each, so that neither passes for the other."""

from collections.abc import Sequence
from hashlib import sha256
from typing import Final

BYTES: Final = 32
_LEAF: Final = b"\x00"
_NODE: Final = b"\x01"


def leaf(entry: bytes) -> bytes:
    """Return the hash of an entry."""
    return sha256(_LEAF + entry).digest()


def root(leaves: Sequence[bytes]) -> bytes:
    """Return the hash of the tree over the leaves.

    Pairing floor by floor, and lifting the odd one, gives the tree of the RFC, which splits at the largest power of two.
    """
    floor = list(leaves)
    while len(floor) > 1:
        odd = floor[-1:] if len(floor) % 2 else []
        floor = [sha256(_NODE + left + right).digest() for left, right in zip(floor[::2], floor[1::2], strict=False)] + odd
    return floor[0] if floor else sha256().digest()
