"""Whatever text is made: no private address is connected to, and a URL that is accepted means the same to every reader."""

import asyncio
from collections.abc import Callable, Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address
from urllib.parse import urlsplit

import httpx
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from chassis.egress import Address, urls
from chassis.egress.causes import Stopped
from chassis.errors import Refusal
from tests.unit.chassis.egress.addresses import WRAPS, private_v4, private_v6
from tests.unit.chassis.egress.internet import ANY, Authority, Internet

CIRCLED = "\u24ea\u2460\u2461\u2462\u2463\u2464\u2465\u2466\u2467\u2468"
DIGITS = ["0123456789", CIRCLED, *("".join(chr(zero + n) for n in range(10)) for zero in (0x660, 0x6F0, 0xFF10, 0x1D7CE))]
"""ASCII, circled, Arabic-Indic, Persian, full-width and mathematical."""

DOTS = [".", "\u3002", "\uff0e", "\uff61", "\u2024", "%2e"]
STARTS = ["http://", "https://", "HTTPS://", " https://", "https:\t//"]
NUMBERS: list[Callable[[int], str]] = [str, hex, lambda n: f"0{n:o}", lambda n: f"0x{n:08X}", lambda n: f"{n:010d}", lambda n: f"0{n}"]


class Inet:
    """A resolver that is as generous as inet_aton: whatever it is asked, it means the address."""

    def __init__(self, address: Address) -> None:
        self._address = address

    async def resolve(self, host: str) -> Sequence[Address]:
        return [self._address]


@st.composite
def written(draw: st.DrawFn, address: IPv4Address) -> str:
    """Write an IPv4 address in one of the ways that somebody reads."""
    value = int(address)
    parts = draw(st.sampled_from([(32,), (8, 24), (8, 8, 16), (8, 8, 8, 8)]))
    left, numbers = 32, []
    for bits in parts:
        left -= bits
        numbers.append(draw(st.sampled_from(NUMBERS))(value >> left & ((1 << bits) - 1)))
    text = draw(st.sampled_from(DOTS)).join(numbers).translate(str.maketrans(DIGITS[0], draw(st.sampled_from(DIGITS))))
    return draw(st.sampled_from(["{}", "{}.", "good.example.com@{}", "{}.nip.io", "x.{}", "[{}]", "%{}", "{}%00.example.com"])).format(text)


@st.composite
def bracketed(draw: st.DrawFn, address: IPv6Address) -> str:
    """Write an IPv6 address."""
    mixed = f"{':'.join(address.exploded.split(':')[:6])}:{IPv4Address(int(address) & 0xFFFFFFFF)}"
    text = draw(st.sampled_from([address.compressed, address.exploded, address.compressed.upper(), mixed]))
    return draw(st.sampled_from(["[{}]", "[{}%25eth0]", "[{}%1]", "{}", "good.example.com@[{}]"])).format(text)


@st.composite
def attacks(draw: st.DrawFn) -> tuple[str, Address]:
    """Draw a URL that somebody could take for one of a private address, and the address."""
    inner = draw(private_v4)
    address: Address = inner
    kind = draw(st.sampled_from(["v4", "v6", *WRAPS]))
    if kind == "v4":
        host = draw(written(inner))
    else:
        address = draw(private_v6) if kind == "v6" else IPv6Address(WRAPS[kind](int(inner)))
        host = draw(bracketed(address))
    start, port = draw(st.sampled_from(STARTS)), draw(st.sampled_from(["", ":80", ":443", ":22", ":6379"]))
    return f"{start}{host}{port}{draw(st.sampled_from(['', '/', '/x', '?x', '#x']))}", address


@settings(max_examples=500, deadline=None)
@given(attack=attacks())
@example(attack=("https://127.0.0.1.nip.io", IPv4Address("127.0.0.1")))
def test_a_private_address_is_never_connected_to(authority: Authority, attack: tuple[str, Address]) -> None:
    url, address = attack
    internet = Internet(authority)
    internet.names = Inet(address)  # type: ignore[assignment]
    with pytest.raises(Refusal):
        asyncio.run(internet.egress().fetch(url, use=ANY, field="url"))
    assert internet.wires.tried == []


hosts = st.one_of(
    st.from_regex(r"[a-z0-9.-]{1,20}\.[a-z]{2,5}", fullmatch=True),
    st.ip_addresses(v=4).map(str),
    st.ip_addresses(v=6).map("[{}]".format),
    st.text(min_size=1, max_size=12),
    st.text(alphabet="a1.-@:[]%/\\?#\t xn\u3002\u00df", min_size=1, max_size=16),
)
texts = st.builds(
    "{}{}{}{}".format,
    st.sampled_from(["https://", "http://", "HTTP://", "https:/", "//"]),
    hosts,
    st.sampled_from(["", ":443", ":0", ":65535", ":8080", ":"]),
    st.one_of(st.just(""), st.text(alphabet="/a.%20?#@:;\\&=\u00e9", max_size=12).map("/{}".format)),
)


def literal(host: str) -> Address | None:
    try:
        return ip_address(host)
    except ValueError:
        return None


@settings(max_examples=500, deadline=None)
@given(url=texts)
@example(url="http://exa\u00dfmple.com:8080/a?b")
@example(url="https://[2606:4700::1111]:8443/")
def test_every_reader_reads_an_accepted_url_alike(url: str) -> None:
    try:
        target = urls.read(url, ANY)
    except Stopped:
        return
    split, other = urlsplit(url), httpx.URL(url)
    assert (target.scheme, target.port) == (split.scheme, split.port or {"http": 80, "https": 443}[split.scheme])
    assert (target.scheme, target.host, target.port) == (other.scheme, other.raw_host.decode(), other.port or target.port)
    assert target.path == (split.path or "/") + (f"?{split.query}" if "?" in url else "")
    assert split.username is split.password is None
    assert split.fragment == ""
    if url.isascii():
        assert split.hostname == target.host
    assert target.address in {None, literal(target.host)}
