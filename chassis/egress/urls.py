"""URLs of users, read once and strictly: what two readers could understand differently is refused."""

import re
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from typing import Final

from chassis.egress import hosts
from chassis.egress.causes import Cause, Stopped
from chassis.egress.uses import Use

LONGEST: Final = 8000
"""Characters of a URL; what RFC 9110, 4.1 asks everybody to support."""

_URL: Final = re.compile(
    r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://"
    r"(?P<authority>[^/?#\\\s\x00-\x20\x7f]+)"
    r"(?P<path>/(?:[A-Za-z0-9._~!$&'()*+,;=:@/-]|%[0-9A-Fa-f]{2})*)?"
    r"(?P<query>\?(?:[A-Za-z0-9._~!$&'()*+,;=:@/?-]|%[0-9A-Fa-f]{2})*)?"
)
"""The absolute form of RFC 3986 with an authority and without a fragment. Only the host may be more than ASCII."""

_AUTHORITY: Final = re.compile(r"(?P<host>\[[^\[\]]*\]|[^:\[\]]*)(?::(?P<port>[1-9][0-9]{0,4}))?")
_DEFAULT: Final = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Target:
    """Where a request goes. `host` is what the request, TLS and the certificate name; `address` is set where that is an address."""

    scheme: str
    host: str
    port: int
    path: str
    address: IPv4Address | IPv6Address | None

    @property
    def authority(self) -> str:
        """Return the value of the Host header."""
        host = f"[{self.host}]" if isinstance(self.address, IPv6Address) else self.host
        return host if self.port == _DEFAULT[self.scheme] else f"{host}:{self.port}"


def read(url: str, use: Use) -> Target:
    """Return where a URL leads if the use may go there by scheme and port; Stopped otherwise. Asks nobody."""
    parts = _URL.fullmatch(url) if len(url) <= LONGEST else None
    if parts is None:
        raise Stopped(Cause.URL)
    scheme = parts["scheme"].lower()
    if scheme not in _DEFAULT or scheme not in use.schemes:
        raise Stopped(Cause.SCHEME)
    if "@" in parts["authority"]:
        raise Stopped(Cause.CREDENTIALS)
    authority = _AUTHORITY.fullmatch(parts["authority"])
    if authority is None:
        raise Stopped(Cause.HOST)
    port = int(authority["port"] or _DEFAULT[scheme])
    if port not in use.ports:
        raise Stopped(Cause.PORT)
    host = hosts.read(authority["host"])
    path = (parts["path"] or "/") + (parts["query"] or "")
    return Target(scheme, str(host), port, path, None if isinstance(host, str) else host)
