"""The connection under a lane: whole frames however they arrive, and nobody without a ticket."""

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chassis.carrier import carrier as carrying
from chassis.carrier.carrier import TICKETS, Carrier
from chassis.carrier.wire import FRAME_BYTES, LENGTH_BYTES, Wire
from chassis.interceptors.chain import Chain
from kith.common.v1.carrier_pb2 import CarriedAnswer, CarriedCall, CarryRequest, CarryResponse, OpenLaneRequest
from tests.unit.chassis.moving import eventually

ECHO = "/echo"
PATIENCE = 60.0
NOBODY: Any = None


class Heard:
    """Remembers what it is told."""

    def __init__(self) -> None:
        self.frames: list[bytes] = []
        self.is_lost = False

    def hear(self, frame: bytes) -> None:
        self.frames.append(frame)

    def room(self) -> None:
        pass

    def lost(self) -> None:
        self.is_lost = True


class Deaf:
    """A transport that remembers whether it was aborted."""

    def __init__(self) -> None:
        self.aborted = False

    def abort(self) -> None:
        self.aborted = True


class Echo:
    """Stands for the chain: answers with what it is sent, as often as the caller says."""

    def __init__(self) -> None:
        self.served = {ECHO: self._echo}

    async def _echo(self, message: bytes, context: Any, *, wants_json: bool) -> bytes:
        return message


def framed(frame: bytes) -> bytes:
    return len(frame).to_bytes(LENGTH_BYTES, "big") + frame


@settings(max_examples=100)
@given(st.lists(st.binary(max_size=40), max_size=8), st.lists(st.integers(min_value=0, max_value=400), max_size=12))
def test_frames_arrive_whole_however_they_are_cut(frames: list[bytes], cuts: list[int]) -> None:
    side, said = Heard(), b"".join(map(framed, frames))
    wire = Wire(side)
    places = sorted({0, len(said), *(min(cut, len(said)) for cut in cuts)})
    for begin, end in itertools.pairwise(places):
        wire.data_received(said[begin:end])
    assert side.frames == frames


def test_a_frame_that_is_too_long_ends_the_connection_before_it_fills_memory() -> None:
    side, transport = Heard(), Deaf()
    wire = Wire(side)
    wire._transport = cast("asyncio.Transport", transport)
    wire.data_received((FRAME_BYTES + 1).to_bytes(LENGTH_BYTES, "big") + b"x")
    assert transport.aborted
    assert not side.frames


@pytest.fixture
async def carrier() -> AsyncIterator[Carrier]:
    async with Carrier(cast("Chain", Echo()), host="127.0.0.1", port=0, limit=1000) as running:
        yield running


class Client:
    """One connection to a carrier."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    def say(self, frame: bytes) -> None:
        self.writer.write(framed(frame))

    async def hear(self) -> CarryResponse:
        async with asyncio.timeout(PATIENCE):
            length = int.from_bytes(await self.reader.readexactly(LENGTH_BYTES), "big")
            return CarryResponse.FromString(await self.reader.readexactly(length))

    async def is_refused(self) -> bool:
        try:
            async with asyncio.timeout(PATIENCE):
                return await self.reader.read() == b""
        except ConnectionResetError:
            return True


@asynccontextmanager
async def client(carrier: Carrier, ticket: bytes) -> AsyncIterator[Client]:
    found = await carrier.OpenLane(OpenLaneRequest(), NOBODY)
    reader, writer = await asyncio.open_connection(found.host, found.port)
    connected = Client(reader, writer)
    connected.say(ticket)
    try:
        yield connected
    finally:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


async def refuses(carrier: Carrier, ticket: bytes) -> bool:
    async with client(carrier, ticket) as stranger:
        return await stranger.is_refused()


async def ticket(carrier: Carrier) -> bytes:
    return (await carrier.OpenLane(OpenLaneRequest(), NOBODY)).ticket


async def test_a_ticket_opens_one_lane(carrier: Carrier) -> None:
    good = await ticket(carrier)
    async with client(carrier, good) as guest:
        assert await guest.hear() == CarryResponse()
        guest.say(CarryRequest(calls=[CarriedCall(id=7, path=ECHO, message=b"hello", seconds=PATIENCE)]).SerializeToString())
        assert (await guest.hear()).answers == [CarriedAnswer(id=7, message=b"hello")]
        assert await refuses(carrier, good)


@pytest.mark.parametrize(
    "given", [b"", bytes(32), CarryRequest(calls=[CarriedCall(id=1, path=ECHO)]).SerializeToString()], ids=["nothing", "a guess", "a call"]
)
async def test_nobody_is_heard_without_a_ticket(carrier: Carrier, given: bytes) -> None:
    assert await refuses(carrier, given)


async def test_an_old_ticket_opens_nothing(carrier: Carrier, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(carrying, "TICKET_SECONDS", -1.0)
    assert await refuses(carrier, await ticket(carrier))


async def test_tickets_do_not_pile_up(carrier: Carrier) -> None:
    first = await ticket(carrier)
    last = [await ticket(carrier) for _ in range(TICKETS)][-1]
    assert await refuses(carrier, first)
    async with client(carrier, last) as guest:
        assert await guest.hear() == CarryResponse()


async def test_what_is_no_message_ends_the_lane(carrier: Carrier) -> None:
    async with client(carrier, await ticket(carrier)) as guest:
        await guest.hear()
        guest.say(b"\xff\xff")
        assert await guest.is_refused()


async def test_a_client_that_takes_nothing_is_heard_no_more_until_it_does(carrier: Carrier) -> None:
    async with client(carrier, await ticket(carrier)) as guest:
        await guest.hear()
        (lane,) = carrier._lanes
        sent = 0
        while not lane._held:
            sent += 1
            assert sent < 2000
            guest.say(CarryRequest(calls=[CarriedCall(id=sent, path=ECHO, message=bytes(60_000))]).SerializeToString())
            await asyncio.sleep(0)
        heard = 0
        while heard < sent:
            heard += len((await guest.hear()).answers)
        await eventually(lambda: not lane._held, seconds=PATIENCE)
