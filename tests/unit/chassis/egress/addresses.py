"""Private addresses, and IPv6 addresses that may lead to an IPv4 one."""

from collections.abc import Callable
from ipaddress import ip_address

from hypothesis import strategies as st

from chassis.egress.networks import OPEN_V6, SPECIAL_V4, SPECIAL_V6
from tests.unit.chassis.egress.internet import PUBLIC

WRAPS: dict[str, Callable[[int], int]] = {
    "mapped": lambda v4: 0xFFFF << 32 | v4,
    "compatible": lambda v4: v4,
    "translated": lambda v4: 0xFFFF << 48 | v4,
    "NAT64": lambda v4: 0x64_FF9B << 96 | v4,
    "NAT64 within, 96": lambda v4: 0x64_FF9B_0001 << 80 | v4,
    "NAT64 within, 64": lambda v4: 0x64_FF9B_0001 << 80 | v4 << 24,
    "NAT64 within, 56": lambda v4: 0x64_FF9B_0001 << 80 | (v4 >> 24) << 64 | (v4 & 0xFFFFFF) << 32,
    "NAT64 within, 48": lambda v4: 0x64_FF9B_0001 << 80 | (v4 >> 16) << 64 | (v4 & 0xFFFF) << 40,
    "6to4": lambda v4: 0x2002 << 112 | v4 << 80 | 1,
    "Teredo's server": lambda v4: 0x2001_0000 << 96 | v4 << 64 | (~int(ip_address(PUBLIC)) & 0xFFFFFFFF),
    "Teredo's client": lambda v4: 0x2001_0000 << 96 | int(ip_address(PUBLIC)) << 64 | (~v4 & 0xFFFFFFFF),
    "ISATAP": lambda v4: 0x2606_4700 << 96 | 0x5EFE << 32 | v4,
    "ISATAP, universal": lambda v4: 0x2606_4700 << 96 | 0x0200_5EFE << 32 | v4,
}

private_v4 = st.sampled_from(SPECIAL_V4).flatmap(lambda network: st.ip_addresses(v=4, network=network))
private_v6 = st.one_of(
    st.sampled_from(SPECIAL_V6).flatmap(lambda network: st.ip_addresses(v=6, network=network)),
    st.ip_addresses(v=6).filter(lambda address: address.ipv4_mapped is None and not any(address in network for network in OPEN_V6)),
)
