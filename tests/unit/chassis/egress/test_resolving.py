"""The name servers of the machine are asked for the name as it stands, and answers of any kind end in addresses or a cause."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from ipaddress import ip_address

import pytest
from dns import asyncresolver, flags, message, name, rcode, rdatatype, rrset

from chassis.egress import Dns, resolving
from chassis.egress.causes import Cause, Stopped
from tests.unit.chassis.egress.internet import ANOTHER, PUBLIC

Answering = Callable[[message.Message], message.Message | None]


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resolving, "SECONDS", 60)


class Server(asyncio.DatagramProtocol):
    """A name server that says what a test wants."""

    def __init__(self, answering: Answering) -> None:
        self.asked: list[tuple[str, str]] = []
        self._answering = answering

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        query = message.from_wire(data)
        self.asked.append((query.question[0].name.to_text(), rdatatype.to_text(query.question[0].rdtype)))
        answer = self._answering(query)
        if answer is not None:
            self._transport.sendto(answer.to_wire(), addr)  # type: ignore[attr-defined]


@asynccontextmanager
async def serving(answering: Answering) -> AsyncIterator[tuple[Dns, Server]]:
    loop = asyncio.get_running_loop()
    transport, server = await loop.create_datagram_endpoint(lambda: Server(answering), local_addr=("127.0.0.1", 0))
    servers = asyncresolver.Resolver(configure=False)
    servers.nameservers, servers.port = ["127.0.0.1"], transport.get_extra_info("sockname")[1]
    servers.search, servers.use_search_by_default = [name.from_text("inside.example.")], True
    servers.timeout = 60
    try:
        yield Dns(servers), server
    finally:
        transport.close()


def records(**answers: list[str]) -> Answering:
    """Answer with addresses by family."""

    def answer(query: message.Message) -> message.Message:
        said = message.make_response(query)
        question = query.question[0]
        if found := answers.get(rdatatype.to_text(question.rdtype)):
            said.answer.append(rrset.from_text(question.name, 0, "IN", question.rdtype, *found))
        return said

    return answer


def refusing(code: rcode.Rcode) -> Answering:
    def answer(query: message.Message) -> message.Message:
        said = message.make_response(query)
        said.set_rcode(code)
        return said

    return answer


async def test_both_families_are_asked_for_the_name_as_it_stands() -> None:
    async with serving(records(A=[PUBLIC, ANOTHER], AAAA=["2606:4700::1111"])) as (dns, server):
        found = await dns.resolve("hooks.example.com")
    assert set(found[:2]) == {ip_address(PUBLIC), ip_address(ANOTHER)}
    assert found[2:] == [ip_address("2606:4700::1111")]
    assert sorted(server.asked) == [("hooks.example.com.", "A"), ("hooks.example.com.", "AAAA")]


@pytest.mark.parametrize("family", ["A", "AAAA"])
async def test_one_family_is_enough(family: str) -> None:
    address = PUBLIC if family == "A" else "2606:4700::1111"
    async with serving(records(**{family: [address]})) as (dns, _):
        assert await dns.resolve("hooks.example.com") == [ip_address(address)]


async def test_a_name_that_is_an_alias_is_followed() -> None:
    def answer(query: message.Message) -> message.Message:
        said = message.make_response(query)
        if query.question[0].rdtype == rdatatype.A:
            said.answer.append(rrset.from_text(query.question[0].name, 0, "IN", "CNAME", "inside.example."))
            said.answer.append(rrset.from_text("inside.example.", 0, "IN", "A", "10.0.0.1"))
        return said

    async with serving(answer) as (dns, _):
        assert await dns.resolve("hooks.example.com") == [ip_address("10.0.0.1")]


async def test_answers_are_not_remembered() -> None:
    answers = iter([["93.184.216.34"], ["127.0.0.1"]])

    def answer(query: message.Message) -> message.Message:
        return records(A=next(answers))(query) if query.question[0].rdtype == rdatatype.A else message.make_response(query)

    async with serving(answer) as (dns, _):
        assert await dns.resolve("hooks.example.com") == [ip_address("93.184.216.34")]
        assert await dns.resolve("hooks.example.com") == [ip_address("127.0.0.1")]


async def test_a_name_that_is_not_there_is_not_looked_for_elsewhere() -> None:
    async with serving(refusing(rcode.NXDOMAIN)) as (dns, server):
        with pytest.raises(Stopped) as stopped:
            await dns.resolve("hooks.example.com")
    assert stopped.value.cause is Cause.NAME
    assert {asked for asked, _ in server.asked} == {"hooks.example.com."}


async def test_a_name_without_addresses_is_as_good_as_none() -> None:
    async with serving(records()) as (dns, _):
        with pytest.raises(Stopped) as stopped:
            await dns.resolve("hooks.example.com")
    assert stopped.value.cause is Cause.NAME


def truncated(query: message.Message) -> message.Message:
    said = message.make_response(query)
    said.flags |= flags.TC
    return said


IGNORANT = {"failure": refusing(rcode.SERVFAIL), "refusal": refusing(rcode.REFUSED), "silence": lambda _: None, "truncated": truncated}


@pytest.mark.parametrize("answering", IGNORANT.values(), ids=IGNORANT)
async def test_ignorance_is_told_from_a_name_that_is_not_there(answering: Answering, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resolving, "SECONDS", 0.5)
    async with serving(answering) as (dns, _):
        with pytest.raises(Stopped) as stopped:
            await dns.resolve("hooks.example.com")
    assert stopped.value.cause is Cause.RESOLVER


async def test_a_family_that_cannot_be_known_does_not_hide_the_other() -> None:
    def answer(query: message.Message) -> message.Message:
        return (records(A=[PUBLIC]) if query.question[0].rdtype == rdatatype.A else refusing(rcode.SERVFAIL))(query)

    async with serving(answer) as (dns, _):
        assert await dns.resolve("hooks.example.com") == [ip_address(PUBLIC)]
