"""IPv4 addresses inside of IPv6 ones: who sends to such an address may reach the IPv4 address instead."""

from collections.abc import Iterator
from ipaddress import IPv4Address, IPv6Address, IPv6Network
from typing import Final

_LAST: Final = tuple(
    map(
        IPv6Network,
        (
            "::/96",  # IPv4-compatible (RFC 4291, 2.5.5.1)
            "::ffff:0:0/96",  # IPv4-mapped (RFC 4291, 2.5.5.2)
            "::ffff:0:0:0/96",  # IPv4-translated (RFC 2765, 2.1)
            "64:ff9b::/96",  # NAT64 (RFC 6052, 2.1)
            "64:ff9b:1::/48",  # NAT64 within a network (RFC 8215), here with a prefix of 96 bits
        ),
    )
)
"""Networks whose last 32 bits are the IPv4 address."""

_NAT64_LOCAL: Final = IPv6Network("64:ff9b:1::/48")
_NAT64_LENGTHS: Final = (48, 56, 64)  # of prefixes inside of it that are shorter than 96 bits (RFC 6052, 2.2)
_SIX_TO_FOUR: Final = IPv6Network("2002::/16")  # RFC 3056
_TEREDO: Final = IPv6Network("2001::/32")  # RFC 4380
_ISATAP: Final = 0x00005EFE  # of the interface's id (RFC 5214, 6.1)
_ISATAP_UNIVERSAL: Final = 0x02000000  # a bit that may be set in it


def plain(address: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    """Return what is connected to for an address: for a mapped one, the IPv4 address that it is by definition."""
    return (address.ipv4_mapped if isinstance(address, IPv6Address) else None) or address


def inside(address: IPv6Address) -> Iterator[IPv4Address]:
    """Yield every IPv4 address that a network on the way may send to instead."""
    value = int(address)
    if any(address in network for network in _LAST):
        yield _v4(value)
    if address in _NAT64_LOCAL:
        for length in _NAT64_LENGTHS:
            yield _v4(_without_octet_8(value) >> (88 - length))
    if address in _SIX_TO_FOUR:
        yield _v4(value >> 80)
    if address in _TEREDO:
        yield _v4(value >> 64)  # the server
        yield _v4(~value)  # the client, with its bits turned over
    if (value >> 32 & 0xFFFFFFFF) & ~_ISATAP_UNIVERSAL == _ISATAP:
        yield _v4(value)


def _v4(value: int) -> IPv4Address:
    return IPv4Address(value & 0xFFFFFFFF)


def _without_octet_8(value: int) -> int:
    """Leave out the octet that RFC 6052 jumps over: 120 bits are left."""
    return value >> 64 << 56 | value & ((1 << 56) - 1)
