"""Where a connection ends: at an address that was looked at, under the name that was meant, and once."""

import asyncio
import contextlib
import ssl
from ipaddress import ip_network
from typing import Any

import pytest

from chassis.egress import Use
from chassis.errors import InvalidArgument
from tests.unit.chassis.egress.internet import ANOTHER, ANY, HOOK, PATIENCE, PUBLIC, Authority, Internet, answering, ok, stopped

URL = "https://hooks.example.com/"


async def test_the_name_is_kept_where_the_address_is_connected_to(internet: Internet, authority: Authority) -> None:
    heard: list[bytes] = []
    named: list[str | None] = []
    tls = authority.server("hooks.example.com")
    tls.sni_callback = lambda _, name, __: named.append(name)  # type: ignore[assignment]
    async with internet.server(answering(ok(b"hello"), heard=heard), tls=tls):
        answer = await internet.egress().fetch(URL, use=HOOK, field="url")
    assert answer.content == b"hello"
    assert named == ["hooks.example.com"]
    assert b"\r\nhost: hooks.example.com\r\n" in heard[0]
    assert internet.wires.tried == [(PUBLIC, 443)]


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("http://m\u00fcnchen.de/", "xn--mnchen-3ya.de"),
        ("http://m\u00fcnchen.DE:8080/", "xn--mnchen-3ya.de:8080"),
        ("http://hooks.example.com:80/", "hooks.example.com"),
        ("http://hooks.example.com:443/", "hooks.example.com:443"),
        (f"http://{PUBLIC}/", PUBLIC),
        ("http://[2606:4700::1111]:8080/", "[2606:4700::1111]:8080"),
    ],
)
async def test_a_host_is_named_in_one_way(internet: Internet, url: str, host: str) -> None:
    heard: list[bytes] = []
    async with internet.server(answering(ok(b""), heard=heard)):
        internet.names.lead("xn--mnchen-3ya.de", [PUBLIC])
        internet.wires.ports["2606:4700::1111"] = internet.wires.ports[PUBLIC]
        await internet.egress().fetch(url, use=ANY, field="url")
    assert f"\r\nhost: {host}\r\n".encode() in heard[0]


@pytest.mark.parametrize(
    ("name", "days"), [("other.example.com", 1), ("*.com", 1), ("hooks.example.com.evil.com", 1), ("hooks.example.com", -1)]
)
async def test_a_certificate_must_be_of_the_name_and_of_today(internet: Internet, authority: Authority, name: str, days: int) -> None:
    heard: list[bytes] = []
    async with internet.server(answering(ok(b""), heard=heard), tls=authority.server(name, days=days)):
        assert await stopped(internet.egress(), URL, HOOK) == "tls"
    assert heard == []


async def test_a_certificate_must_be_of_somebody_who_is_believed(internet: Internet, tmp_path: Any) -> None:
    async with internet.server(answering(ok(b"")), tls=Authority(tmp_path).server("hooks.example.com")):
        assert await stopped(internet.egress(), URL, HOOK) == "tls"


async def test_an_address_needs_a_certificate_of_its_own(internet: Internet, authority: Authority) -> None:
    async with internet.server(answering(ok(b"")), tls=authority.server("hooks.example.com")):
        assert await stopped(internet.egress(), f"https://{PUBLIC}/", HOOK) == "tls"


async def test_a_server_that_wants_our_certificate_fails_by_tls(internet: Internet, authority: Authority) -> None:
    context = authority.server("hooks.example.com")
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(authority.file)

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = context.wrap_bio(incoming, outgoing, server_side=True)
        with contextlib.suppress(ssl.SSLError):
            while True:
                try:
                    tls.do_handshake()
                except ssl.SSLWantReadError:
                    writer.write(outgoing.read())
                    incoming.write(await reader.read(65536))
        writer.write(outgoing.read())  # the alert, which asyncio's own servers do not send
        await reader.read()

    async with internet.server(handle):
        assert await stopped(internet.egress(), URL, HOOK) == "tls"


async def test_old_versions_of_tls_are_not_spoken(internet: Internet, authority: Authority) -> None:
    tls = authority.server("hooks.example.com")
    tls.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.warns(DeprecationWarning, match="TLSv1"):
        tls.minimum_version, tls.maximum_version = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1
    async with internet.server(answering(ok(b"")), tls=tls):
        assert await stopped(internet.egress(), URL, HOOK) == "tls"


async def test_a_server_without_tls_is_not_spoken_to_in_clear(internet: Internet) -> None:
    heard: list[bytes] = []

    async def clear(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(await reader.readexactly(3))
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    async with internet.server(clear):
        assert await stopped(internet.egress(), URL, HOOK) == "tls"
    assert heard == [b"\x16\x03\x01"]


async def test_a_handshake_has_its_time(internet: Internet) -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    hasty = Use(name="hasty", connect_seconds=0.3)
    async with internet.server(silent):
        assert await stopped(internet.egress(), URL, hasty) == "time"


async def test_a_name_that_moves_inside_is_refused_when_it_has_moved(internet: Internet, authority: Authority) -> None:
    async with internet.server(answering(ok(b"outside")), tls=authority.server("hooks.example.com")):
        internet.names.lead("hooks.example.com", [PUBLIC], ["127.0.0.1"])
        egress = internet.egress()
        assert (await egress.fetch(URL, use=HOOK, field="url")).content == b"outside"
        assert await stopped(egress, URL, HOOK) == "address"
    assert internet.names.asked == ["hooks.example.com"] * 2
    assert internet.wires.tried == [(PUBLIC, 443)]


async def test_a_name_is_asked_for_once_and_only_what_was_looked_at_is_tried(internet: Internet) -> None:
    internet.names.lead("hooks.example.com", [PUBLIC, ANOTHER], ["127.0.0.1"])
    assert await stopped(internet.egress(), URL, HOOK) == "connection"
    assert internet.names.asked == ["hooks.example.com"]
    assert internet.wires.tried == [(PUBLIC, 443), (ANOTHER, 443)]


async def test_the_next_address_is_tried_and_not_all_of_a_thousand(internet: Internet, authority: Authority) -> None:
    many = [f"11.0.{n // 256}.{n % 256}" for n in range(1000)]
    async with internet.server(answering(ok(b"here")), tls=authority.server("hooks.example.com")):
        internet.names.lead("hooks.example.com", [ANOTHER, PUBLIC], many, [*many, "127.0.0.1"])
        egress = internet.egress()
        assert (await egress.fetch(URL, use=HOOK, field="url")).content == b"here"
        assert internet.wires.tried == [(ANOTHER, 443), (PUBLIC, 443)]
        assert await stopped(egress, URL, HOOK) == "connection"
        assert len(internet.wires.tried) == 6
        assert await stopped(egress, URL, HOOK) == "address"
        assert len(internet.wires.tried) == 6


async def test_no_connection_is_used_twice(internet: Internet, authority: Authority) -> None:
    """Neither for the same host nor for another that has the same address and a certificate that holds for both."""
    peers: set[Any] = set()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peers.add(writer.get_extra_info("peername"))
        while await reader.readuntil(b"\r\n\r\n"):
            writer.write(ok(b"", "connection: keep-alive"))
            await writer.drain()

    async with internet.server(handle, tls=authority.server("hooks.example.com", "other.example.com")):
        internet.names.lead("other.example.com", [PUBLIC])
        egress = internet.egress()
        for _ in range(3):
            await egress.fetch(URL, use=HOOK, field="url")
            await egress.fetch("https://other.example.com/", use=HOOK, field="url")
    assert len(peers) == len(internet.wires.tried) == 6


async def test_an_unknown_name_and_one_that_leads_inside_are_told_alike(internet: Internet) -> None:
    internet.names.lead("inside.example.com", ["10.0.0.1"])
    told = set()
    for host in ("inside.example.com", "nothing.example.com"):
        with pytest.raises(InvalidArgument) as refused:
            await internet.egress().fetch(f"https://{host}/", use=HOOK, field="url")
        told.add((refused.value.message, refused.value.reason, str(refused.value.metadata), refused.value.fields))
    assert len(told) == 1


async def test_a_network_that_the_operator_names_is_called(internet: Internet) -> None:
    lan = Use(name="calendar", schemes=frozenset({"http"}), ports=frozenset({5232}), **PATIENCE)
    async with internet.server(answering(ok(b"dav")), name="dav.company.example", address="10.1.2.3"):
        assert await stopped(internet.egress(), "http://dav.company.example:5232/", lan) == "address"
        egress = internet.egress(allow=[ip_network("10.1.0.0/16")])
        assert (await egress.fetch("http://dav.company.example:5232/", use=lan, field="url", method="PROPFIND")).content == b"dav"
        assert await stopped(egress, "http://dav.company.example:6379/", lan) == "port"
        assert await stopped(egress, "http://127.0.0.1:5232/", lan) == "address"
