"""Pages of lists (AIP-158): sizes, and tokens that are signed and bound to the list that they continue."""

import binascii
import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence
from functools import lru_cache
from hashlib import sha256
from typing import Any, Final

import orjson

from chassis.errors import InvalidArgument, Reason, Violation, invalid

DEFAULT_SIZE: Final = 20
MAX_SIZE: Final = 200
MIN_KEY_BYTES: Final = 32
_MAX_TOKEN_LENGTH: Final = 4_096
_MAC_BYTES: Final = sha256().digest_size
_BINDING_BYTES: Final = 16
_key: Final[list[bytes]] = []


def size(wanted: int) -> int:
    """Return the page size: 20 for 0, 200 for more than that; a negative one is refused."""
    if wanted < 0:
        raise InvalidArgument(Reason.FIELD_INVALID, "page_size: negative", fields=[Violation("page_size", "must not be negative")])
    return min(wanted, MAX_SIZE) or DEFAULT_SIZE


def use_key(key: bytes) -> None:
    """Sign with this key of at least 32 bytes from now on; all processes of a service have the same one."""
    if len(key) < MIN_KEY_BYTES:
        raise ValueError(f"a page token key has at least {MIN_KEY_BYTES} bytes")
    _key[:] = [key]


def seal(last: Sequence[str | int], bound_to: tuple[str, ...]) -> str:
    """Return the token of the page behind `last`, the sort key of a row, in the list that the texts describe."""
    body = _digest(bound_to) + orjson.dumps(last)
    return urlsafe_b64encode(_mac(body) + body).rstrip(b"=").decode()


def unseal(token: str, bound_to: tuple[str, ...]) -> list[Any]:
    """Return what was sealed. Refuses what our key did not sign, and a token of another list."""
    sealed = _decode(token)
    mac, body = sealed[:_MAC_BYTES], sealed[_MAC_BYTES:]
    if len(body) <= _BINDING_BYTES or not hmac.compare_digest(mac, _mac(body)):
        raise _refused(Reason.PAGE_TOKEN_INVALID, "is no page token that an answer gave")
    if body[:_BINDING_BYTES] != _digest(bound_to):
        raise _refused(Reason.PAGE_TOKEN_MISMATCH, "belongs to another list, filter or order")
    last: list[Any] = orjson.loads(body[_BINDING_BYTES:])
    return last


def _mac(body: bytes) -> bytes:
    if not _key:
        raise LookupError("no page token key was given")
    return hmac.digest(_key[0], body, "sha256")


@lru_cache(maxsize=1024)
def _digest(bound_to: tuple[str, ...]) -> bytes:
    return sha256(orjson.dumps(bound_to)).digest()[:_BINDING_BYTES]


def _decode(token: str) -> bytes:
    """Return the bytes of a token in its one canonical spelling; b"" stands for what is none."""
    if len(token) > _MAX_TOKEN_LENGTH or not token.isascii():
        return b""
    try:
        sealed = urlsafe_b64decode(token + "=" * (-len(token) % 4))
    except binascii.Error:
        return b""
    return sealed if urlsafe_b64encode(sealed).rstrip(b"=").decode() == token else b""


def _refused(reason: Reason, why: str) -> InvalidArgument:
    return invalid(reason, "page_token", why)
