"""Who stands at the other end of the connection, behind how many proxies of ours."""

from collections.abc import Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final

_UNKNOWN: Final = "0.0.0.0"  # noqa: S104 - stands for an address that is not known, nobody listens on it

_Address = IPv4Address | IPv6Address
_Network = IPv4Network | IPv6Network


class Addresses:
    """Finds the client's address: X-Forwarded-For is believed only as far as proxies of ours wrote it."""

    def __init__(self, trusted: Sequence[str]) -> None:
        self._trusted: tuple[_Network, ...] = tuple(ip_network(each) for each in trusted)
        self._is_trusted = lru_cache(maxsize=4096)(self._check)

    def client(self, peer: str | None, forwarded: bytes | None) -> str:
        """Return the last address that no proxy of ours has; the peer's own when there is none or it cannot be read."""
        found = peer or _UNKNOWN
        if forwarded is None or not self._is_trusted(found):
            return found
        for hop in reversed(forwarded.decode("latin-1").split(",")):
            address = _parse(hop.strip())
            if address is None:
                return found
            found = str(address)
            if not self._is_trusted(found):
                return found
        return found

    def _check(self, text: str) -> bool:
        address = _parse(text)
        return address is not None and any(address in network for network in self._trusted)


@lru_cache(maxsize=4096)
def block(text: str) -> str:
    """Return what a limit counts as one address: an IPv6 customer has a whole /64."""
    address = _parse(text)
    if isinstance(address, IPv6Address):
        return str(IPv6Network((address, 64), strict=False).network_address)
    return text


def _parse(text: str) -> _Address | None:
    try:
        address = ip_address(text)
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address
