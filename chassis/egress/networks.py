"""Which addresses are the public internet, by the registries of IANA and not by Python's `is_global`, which misses some.

Whatever has a special purpose is refused, also where the registry calls it globally reachable: no user's server stands there.
"""

from collections.abc import Iterable, Iterator
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import Final

from chassis.egress import embedded

Network = IPv4Network | IPv6Network
Address = IPv4Address | IPv6Address

SPECIAL_V4: Final = tuple(
    map(
        IPv4Network,
        (
            # www.iana.org/assignments/iana-ipv4-special-registry
            "0.0.0.0/8",  # this network (RFC 791)
            "10.0.0.0/8",  # private (RFC 1918)
            "100.64.0.0/10",  # shared, behind carriers' NAT (RFC 6598); a cloud's metadata at 100.100.100.200
            "127.0.0.0/8",  # loopback (RFC 1122)
            "169.254.0.0/16",  # link-local (RFC 3927); clouds' metadata at 169.254.169.254
            "172.16.0.0/12",  # private (RFC 1918)
            "192.0.0.0/24",  # protocol assignments (RFC 6890): 192.0.0.8 among them; a cloud's metadata at 192.0.0.192
            "192.0.2.0/24",  # documentation (RFC 5737)
            "192.31.196.0/24",  # AS112 (RFC 7535)
            "192.52.193.0/24",  # AMT (RFC 7450)
            "192.88.99.0/24",  # relays of 6to4 (RFC 7526)
            "192.168.0.0/16",  # private (RFC 1918)
            "192.175.48.0/24",  # AS112 (RFC 7534)
            "198.18.0.0/15",  # benchmarks (RFC 2544)
            "198.51.100.0/24",  # documentation (RFC 5737)
            "203.0.113.0/24",  # documentation (RFC 5737)
            "240.0.0.0/4",  # reserved (RFC 1112), and the broadcast of a link
            # www.iana.org/assignments/multicast-addresses
            "224.0.0.0/4",
            # In no registry: the host of a virtual machine in Azure, which hands out its configuration and certificates.
            "168.63.129.16/32",
        ),
    )
)

OPEN_V6: Final = tuple(
    map(
        IPv6Network,
        (
            "2000::/3",  # all that IANA gives out as global unicast: www.iana.org/assignments/ipv6-address-space
            "64:ff9b::/96",  # NAT64 (RFC 6052): how a network without IPv4 reaches the IPv4 address inside, which is looked at
        ),
    )
)

SPECIAL_V6: Final = tuple(
    map(
        IPv6Network,
        (
            # www.iana.org/assignments/iana-ipv6-special-registry, where it is inside of OPEN_V6
            "2001::/23",  # protocol assignments (RFC 2928): Teredo, benchmarks, ORCHID, AMT, AS112, remote ids of drones
            "2001:db8::/32",  # documentation (RFC 3849)
            "2002::/16",  # 6to4 (RFC 3056)
            "2620:4f:8000::/48",  # AS112 (RFC 7534)
            "3fff::/20",  # documentation (RFC 9637)
            # Given back: the 6bone (RFC 3701).
            "3ffe::/16",
        ),
    )
)


class Networks:
    """What may be called: the public internet without `deny`, and `allow`, networks of the operator's that are named on purpose."""

    def __init__(self, *, allow: Iterable[Network] = (), deny: Iterable[Network] = ()) -> None:
        self._allow = tuple(allow)
        self._deny = tuple(deny)

    def reachable(self, address: Address) -> bool:
        """Say whether an address may be connected to, and every IPv4 address that it may stand for."""
        return all(self._may(meaning) for meaning in _meanings(address))

    def _may(self, address: Address) -> bool:
        if _within(address, self._deny):
            return False
        return _within(address, self._allow) or public(address)


def public(address: Address) -> bool:
    """Say whether an address, taken by itself, is one of the public internet."""
    if isinstance(address, IPv4Address):
        return not _within(address, SPECIAL_V4)
    return _within(address, OPEN_V6) and not _within(address, SPECIAL_V6)


def _meanings(address: Address) -> Iterator[Address]:
    yield embedded.plain(address)
    if isinstance(address, IPv6Address):
        yield from embedded.inside(address)


def _within(address: Address, networks: Iterable[Network]) -> bool:
    return any(address in network for network in networks)
