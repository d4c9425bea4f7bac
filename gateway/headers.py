"""Which headers of a client mean something here; everything else is dropped, so that nobody can set the platform's own metadata."""

import re
from collections.abc import Iterable, Mapping
from typing import Final

from chassis import ids
from chassis.context import REQUEST_ID
from chassis.errors import Reason
from gateway.problems import Header, Problem

MAX_VALUE: Final = 8 * 1024
"""Longest value of one header in bytes: no access token is longer (reference/identity.md 3.1)."""

_SINGLE: Final = frozenset(
    {
        b"accept",
        b"accept-language",
        b"access-control-request-method",
        b"authorization",
        b"content-length",
        b"content-type",
        b"expect",
        b"host",
        b"idempotency-key",
        b"if-match",
        b"last-event-id",
        b"origin",
        b"sec-fetch-site",
        b"traceparent",
        b"transfer-encoding",
        b"user-agent",
        b"x-csrf",
        b"x-idempotency-key",
        b"x-request-id",
    }
)
_JOINED: Final = {b"cookie": b"; ", b"x-forwarded-for": b", "}
_TOLERANT: Final = frozenset({b"accept", b"accept-language", b"traceparent", b"user-agent", b"x-request-id"})

_PRINTABLE: Final = re.compile(rb"[\x20-\x7e]*")
_KEY: Final = re.compile(rb"[\x21-\x7e]{1,255}")


def read(raw: Iterable[Header], *, max_bytes: int) -> Mapping[bytes, bytes]:
    """Return the headers that mean something; too many bytes are refused, and so is one that stands twice where only one can hold."""
    found: dict[bytes, bytes] = {}
    size = 0
    for name, value in raw:
        size += len(name) + len(value)
        if name in _SINGLE:
            if name in found and name not in _TOLERANT:
                raise Problem(400, Reason.BODY_INVALID, f"The header {name.decode()} stands twice.")
            found[name] = value
        elif name in _JOINED:
            found[name] = found[name] + _JOINED[name] + value if name in found else value
        if len(value) > MAX_VALUE:
            raise Problem(431, Reason.HEADERS_TOO_LARGE, f"A header is longer than {MAX_VALUE} bytes.")
    if size > max_bytes:
        raise Problem(431, Reason.HEADERS_TOO_LARGE, f"The headers are longer than {max_bytes} bytes.")
    return found


def request_id(headers: Mapping[bytes, bytes]) -> str:
    """Return the client's request id if it is a plain word, else a new one."""
    given = headers.get(b"x-request-id", b"").decode("latin-1")
    return given if REQUEST_ID.fullmatch(given) else ids.new()


def idempotency_key(headers: Mapping[bytes, bytes]) -> str | None:
    """Return the key of a write; its older name `X-Idempotency-Key` is good too."""
    given = headers.get(b"idempotency-key")
    alias = headers.get(b"x-idempotency-key")
    if given is None and alias is None:
        return None
    if given is not None and alias is not None and given != alias:
        raise Problem(400, Reason.BODY_INVALID, "Idempotency-Key and X-Idempotency-Key differ.")
    key = alias if given is None else given
    if key is None or not _KEY.fullmatch(key):
        raise Problem(400, Reason.BODY_INVALID, "An idempotency key has 1 to 255 visible ASCII characters.")
    return key.decode()


def if_match(headers: Mapping[bytes, bytes]) -> str | None:
    """Return the one etag of If-Match, None when there is no condition (`*` is met by whatever is there)."""
    given = headers.get(b"if-match")
    if given is None or given == b"*":
        return None
    if b"," in given or not _PRINTABLE.fullmatch(given):
        raise Problem(400, Reason.BODY_INVALID, "If-Match takes one etag.")
    return given.decode()


def plain(headers: Mapping[bytes, bytes], name: bytes, longest: int) -> str:
    """Return a header as metadata may carry it: printable ASCII, cut at a length; empty when it is not."""
    value = headers.get(name, b"")[:longest]
    return value.decode() if _PRINTABLE.fullmatch(value) else ""
