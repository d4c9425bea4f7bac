"""What browsers need: cookies that scripts cannot read, proof that our own page sent a request, and the CORS allow-list."""

import re
from collections.abc import Mapping, Sequence
from typing import Final
from urllib.parse import urlsplit

from chassis.errors import Reason
from gateway.contract import Cookie
from gateway.problems import Header, Problem

_ATTRIBUTES: Final = "Path=/; Secure; HttpOnly; SameSite=Strict"
_VALUE: Final = re.compile(r"[!#-+\--:<-\[\]-~]*")  # cookie-octet (RFC 6265, section 4.1.1)

_CORS_HEADERS: Final = b"authorization, content-type, idempotency-key, if-match, traceparent, x-csrf, x-idempotency-key, x-request-id"
_EXPOSED: Final = b"content-disposition, etag, idempotency-replayed, ratelimit, ratelimit-policy, retry-after, x-request-id, x-trace-id"
_PREFLIGHT_SECONDS: Final = b"600"

SECURITY: Final[tuple[Header, ...]] = (
    (b"strict-transport-security", b"max-age=63072000; includeSubDomains"),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
)
"""Headers of every answer (EDG-6); the content security policy differs between the API and the reference page."""

API_POLICY: Final = (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'; sandbox")
API: Final[tuple[Header, ...]] = (API_POLICY, (b"cache-control", b"no-store"))
"""What holds for answers of the API: they are no pages, and nobody keeps them."""


def origin_of(url: str) -> str:
    """Return the origin of a URL as browsers write it."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


class Browser:
    """The rules of one installation."""

    def __init__(self, *, own_origin: str, cors_origins: Sequence[str]) -> None:
        self._own = own_origin.encode()
        self._cors = frozenset(each.encode() for each in cors_origins)

    def calls(self, headers: Mapping[bytes, bytes]) -> bool:
        """Say whether a page of ours calls with its cookies, and refuse any other page that pretends so.

        No cookie is read without the header: another site's form cannot send it, and its script may not (reference/identity.md 3.10).
        """
        if b"x-csrf" not in headers:
            return False
        proven = headers[b"x-csrf"] == b"1" and headers.get(b"origin") == self._own and headers.get(b"sec-fetch-site") == b"same-origin"
        if not proven:
            raise Problem(403, Reason.ORIGIN_REFUSED, "Only pages of this origin may call with cookies.")
        return True

    def cors(self, headers: Mapping[bytes, bytes]) -> list[Header]:
        """Return the headers by which a browser lets an allowed origin read the answer."""
        if not self._cors:
            return []
        vary = (b"vary", b"origin")
        origin = headers.get(b"origin")
        if origin not in self._cors or origin is None:
            return [vary]
        return [vary, (b"access-control-allow-origin", origin), (b"access-control-expose-headers", _EXPOSED)]

    def preflight(self, headers: Mapping[bytes, bytes], allow: bytes) -> list[Header]:
        """Return what an allowed origin may send, nothing for any other."""
        if headers.get(b"origin") not in self._cors or b"access-control-request-method" not in headers:
            return []
        return [
            (b"access-control-allow-methods", allow),
            (b"access-control-allow-headers", _CORS_HEADERS),
            (b"access-control-max-age", _PREFLIGHT_SECONDS),
        ]


def cookie(headers: Mapping[bytes, bytes], name: str) -> str | None:
    """Return the value of a cookie; one that stands twice was planted, so neither counts."""
    found = [
        value.strip()
        for key, _, value in (pair.partition("=") for pair in headers.get(b"cookie", b"").decode("latin-1").split(";"))
        if key.strip() == name
    ]
    return found[0] if len(found) == 1 else None


def set_cookie(where: Cookie, value: str) -> Header:
    """Return the header that keeps a value in the browser. The __Host- prefix binds it to this host and to TLS."""
    if not _VALUE.fullmatch(value):
        raise ValueError(f"the value of {where.name} cannot be a cookie")
    return b"set-cookie", f"{where.name}={value}; Max-Age={where.max_age}; {_ATTRIBUTES}".encode()


def clear_cookie(name: str) -> Header:
    """Return the header that makes the browser forget a cookie."""
    return b"set-cookie", f"{name}=; Max-Age=0; {_ATTRIBUTES}".encode()
