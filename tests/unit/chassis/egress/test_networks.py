"""Which addresses are refused, in whatever an answer of the name system wraps them."""

import random
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chassis.egress import Address, Networks
from chassis.egress.embedded import plain
from chassis.egress.networks import SPECIAL_V4, SPECIAL_V6
from tests.unit.chassis.egress.addresses import WRAPS, private_v4, private_v6
from tests.unit.chassis.egress.internet import ANOTHER, PUBLIC, Internet, stopped

INTERNET = Networks()


@pytest.mark.parametrize("wrap", WRAPS)
@settings(deadline=None)
@given(inner=private_v4)
def test_a_wrapped_private_address_is_refused(wrap: str, inner: IPv4Address) -> None:
    assert not INTERNET.reachable(IPv6Address(WRAPS[wrap](int(inner))))


@pytest.mark.parametrize("wrap", WRAPS)
@settings(deadline=None)
@given(inner=private_v4)
def test_allowing_a_wrap_does_not_allow_what_is_in_it(wrap: str, inner: IPv4Address) -> None:
    assert not Networks(allow=[IPv6Network("::/0")]).reachable(IPv6Address(WRAPS[wrap](int(inner))))


@pytest.mark.parametrize("wrap", WRAPS)
def test_a_public_address_is_reached_in_the_wraps_that_are_in_use(wrap: str) -> None:
    wrapped = IPv6Address(WRAPS[wrap](int(ip_address(PUBLIC))))
    assert INTERNET.reachable(wrapped) == (wrap in {"mapped", "NAT64", "ISATAP", "ISATAP, universal"})
    assert Networks(allow=[IPv6Network("::/0")]).reachable(wrapped) == (not wrap.startswith("NAT64 within"))


@settings(deadline=None)
@given(address=private_v4 | private_v6)
def test_a_special_address_is_refused(address: Address) -> None:
    assert not INTERNET.reachable(address)


@settings(deadline=None)
@given(address=st.ip_addresses())
def test_what_python_knows_not_to_be_global_is_refused(address: Address) -> None:
    assert plain(address).is_global or not INTERNET.reachable(address)


@pytest.mark.parametrize("network", [*SPECIAL_V4, *SPECIAL_V6], ids=str)
def test_networks_are_refused_up_to_their_edges(network: IPv4Network | IPv6Network) -> None:
    assert not INTERNET.reachable(network[0])
    assert not INTERNET.reachable(network[-1])


def test_most_of_the_internet_is_reachable() -> None:
    draw = random.Random(5)
    drawn = [IPv4Address(draw.getrandbits(32)) for _ in range(2000)]
    assert sum(INTERNET.reachable(address) for address in drawn) > 1600
    assert all(INTERNET.reachable(ip_address(each)) for each in (PUBLIC, ANOTHER, "1.1.1.1", "9.9.9.9", "2606:4700::1", "2a00:1450::1"))


def test_the_operator_names_networks_that_may_be_called_and_that_may_not() -> None:
    networks = Networks(
        allow=[ip_network("10.1.0.0/16"), ip_network("fd00:1::/32")], deny=[ip_network("10.1.2.0/24"), ip_network(f"{PUBLIC}/32")]
    )
    assert networks.reachable(ip_address("10.1.1.1"))
    assert networks.reachable(ip_address("::ffff:10.1.1.1"))
    assert networks.reachable(ip_address("64:ff9b::10.1.1.1"))
    assert networks.reachable(ip_address("fd00:1::1"))
    assert not networks.reachable(ip_address("10.2.1.1"))
    assert not networks.reachable(ip_address("10.1.2.1"))
    assert not networks.reachable(ip_address("::ffff:10.1.2.1"))
    assert not networks.reachable(ip_address(PUBLIC))
    assert not networks.reachable(ip_address("fd00:2::1"))


@pytest.mark.parametrize("wrap", WRAPS)
async def test_an_answer_of_the_name_system_is_unwrapped(internet: Internet, wrap: str) -> None:
    internet.names.lead("hooks.example.com", [str(IPv6Address(WRAPS[wrap](int(ip_address("127.0.0.1")))))])
    assert await stopped(internet.egress(), "https://hooks.example.com/") == "address"
    assert internet.wires.tried == []


@pytest.mark.parametrize("place", range(3))
@pytest.mark.parametrize("private", ["127.0.0.1", "::1", "fd00:ec2::254", "169.254.169.254", "::ffff:10.0.0.1", "2002:a00:1::"])
async def test_one_private_address_spoils_the_others(internet: Internet, private: str, place: int) -> None:
    answer = [PUBLIC, ANOTHER]
    answer.insert(place, private)
    internet.names.lead("hooks.example.com", answer)
    assert await stopped(internet.egress(), "https://hooks.example.com/") == "address"
    assert internet.wires.tried == []


async def test_a_mapped_address_is_connected_to_as_the_one_that_it_is(internet: Internet) -> None:
    internet.names.lead("hooks.example.com", [f"::ffff:{PUBLIC}", PUBLIC])
    assert await stopped(internet.egress(), "https://hooks.example.com/") == "connection"
    assert internet.wires.tried == [(PUBLIC, 443)]
