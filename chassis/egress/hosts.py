"""Hosts as URLs write them: one spelling for each address, and names that no resolver takes for an address."""

import re
from ipaddress import AddressValueError, IPv4Address, IPv6Address
from typing import Final

import idna

from chassis.egress.causes import Cause, Stopped

_LABEL: Final = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_NAME: Final = re.compile(rf"(?:{_LABEL}\.)+(?:[a-z]{{2,63}}|xn--[a-z0-9-]{{0,58}}[a-z0-9])")
"""A name of two labels or more (RFC 1123, 2.1) whose last one is a word, as in the root zone: inet_aton reads `127.1` and `0x7f.1`."""

_LONGEST: Final = 253  # RFC 1035, 2.3.4, as text without the final dot


def read(host: str) -> IPv4Address | IPv6Address | str:
    """Return the address that a host literally is, else its name in lower case ASCII; Stopped(HOST) if it is neither."""
    if host.startswith("["):
        return _bracketed(host)
    if host.replace(".", "").isdecimal():
        return _dotted(host)
    return _name(host)


def _bracketed(host: str) -> IPv6Address:
    """Read an IPv6 literal. A zone names an interface of this machine, and a mapped address has a spelling of its own: IPv4."""
    if not host.endswith("]") or "%" in host:
        raise Stopped(Cause.HOST)
    try:
        address = IPv6Address(host[1:-1])
    except AddressValueError:
        raise Stopped(Cause.HOST) from None
    if address.ipv4_mapped or str(address) != host[1:-1].lower():
        raise Stopped(Cause.HOST)
    return address


def _dotted(host: str) -> IPv4Address:
    """Read four decimal numbers without leading zeros: `0177.0.0.1` is octal to some and decimal to others."""
    try:
        return IPv4Address(host)
    except AddressValueError:
        raise Stopped(Cause.HOST) from None


def _name(host: str) -> str:
    name = host.lower() if host.isascii() else _international(host)
    if len(name) > _LONGEST or not _NAME.fullmatch(name):
        raise Stopped(Cause.HOST)
    for label in name.split("."):
        if label.startswith("xn--"):
            _encoded(label)
    return name


def _international(host: str) -> str:
    """Encode a name by IDNA 2008, which maps nothing: circled and full-width characters, dots too, do not become others."""
    try:
        return ".".join(label.lower() if label.isascii() else idna.alabel(label).decode() for label in host.split("."))
    except idna.IDNAError:
        raise Stopped(Cause.HOST) from None


def _encoded(label: str) -> None:
    """Refuse an A-label that stands for no name."""
    try:
        idna.ulabel(label)
    except idna.IDNAError:
        raise Stopped(Cause.HOST) from None
