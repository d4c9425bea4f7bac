"""What a seal says, and what it means that seals follow each other (ID-50).

A seal binds one batch of one service, and by the digest of the seal before it all that was sealed earlier. The digest covers the
signature, so that the signature of the last seal vouches for the whole chain.
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Final

BEGINNING: Final = bytes(32)
"""What stands before the first seal."""

_FORM: Final = b"kith audit seal 1\x00"
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_number = struct.Struct(">q").pack


@dataclass(frozen=True, slots=True, kw_only=True)
class Seal:
    """One link of a tenant's chain."""

    tenant_id: str
    number: int
    service: str
    batch_number: int
    row_count: int
    root: bytes
    seal_time: datetime
    previous: bytes
    kid: str
    signature: bytes = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """What is to be sealed."""

    tenant_id: str
    number: int
    row_count: int
    root: bytes


def content(seal: Seal) -> bytes:
    """Return what is signed: each part with a length of its own, so that no two seals say the same."""
    parts = (
        bytes.fromhex(seal.tenant_id.replace("-", "")),
        _number(seal.number),
        seal.service.encode(),
        _number(seal.batch_number),
        _number(seal.row_count),
        seal.root,
        _number((seal.seal_time - _EPOCH) // timedelta(microseconds=1)),
        seal.previous,
        seal.kid.encode(),
    )
    return _FORM + b"".join(_number(len(part)) + part for part in parts)


def digest(seal: Seal) -> bytes:
    """Return what the next seal and the receipt name this one by."""
    return sha256(content(seal) + seal.signature).digest()


def following(last: Seal | None, batch: Batch, *, service: str, now: datetime, kid: str) -> Seal:
    """Return the seal of a batch behind the last one, without its signature."""
    return Seal(
        tenant_id=batch.tenant_id,
        number=last.number + 1 if last else 1,
        service=service,
        batch_number=batch.number,
        row_count=batch.row_count,
        root=batch.root,
        seal_time=now,
        previous=digest(last) if last else BEGINNING,
        kid=kid,
    )


def signed(seal: Seal, signature: bytes) -> Seal:
    """Return the seal with its signature."""
    return replace(seal, signature=signature)


def linked(number: int, previous: bytes, seals: Sequence[Seal]) -> int:
    """Return how many of the seals follow the one of that number and digest, without a gap."""
    for nth, seal in enumerate(seals):
        if seal.number != number + 1 or seal.previous != previous:
            return nth
        number, previous = seal.number, digest(seal)
    return len(seals)
