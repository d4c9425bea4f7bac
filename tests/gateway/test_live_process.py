"""Edge processes with live streams: they share tickets and places, end at once, and do not grow for a slow reader."""

import asyncio
import os
import signal
import sys
import uuid
from asyncio.subprocess import Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NamedTuple

import httpx
import psutil
import pytest
from nats.aio.client import Client
from websockets.exceptions import ConnectionClosed

from chassis.events.envelope import Envelope
from kith.crm.v1.contacts_pb2 import Contact
from kith.crm.v1.events_pb2 import ContactUpdated
from stack.topology import EDGE
from stack.wiring import Wiring
from tests.conftest import Person, Register
from tests.gateway.live import events, make, messages, said, ticket
from tests.gateway.test_server import free_port, narrow, until_up
from tests.patience import SECONDS
from tests.unit.chassis.moving import eventually

LONG_GRACE = {"KITH_GRACE_SECONDS": "600"}


@dataclass(frozen=True)
class Own:
    """An edge of the test's own before the platform's services."""

    client: httpx.AsyncClient
    process: Process
    admin: str

    async def is_empty(self) -> bool:
        """Say whether it holds no stream: it notices a little later that a client has left."""
        metrics = (await self.client.get(f"{self.admin}/metrics")).text
        return any(line in {"kith_live_streams 0.0", "kith_live_streams 0"} for line in metrics.splitlines())


@asynccontextmanager
async def running(platform: Wiring, person: Person, **settings: str) -> AsyncIterator[Own]:
    """Run an edge and wait until it streams, which does not hold up its other work."""
    ports = {"KITH_PORT": str(free_port()), "KITH_ADMIN_PORT": str(free_port())}
    environment = os.environ | platform.environment(EDGE) | ports | settings
    process = await asyncio.create_subprocess_exec(sys.executable, "-m", EDGE.module, env=environment, stdout=asyncio.subprocess.DEVNULL)
    try:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{ports['KITH_PORT']}", timeout=SECONDS) as client:
            await until_up(client, "/readyz")
            edge = Own(client, process, f"http://127.0.0.1:{ports['KITH_ADMIN_PORT']}")
            await until_open(edge, person)
            yield edge
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


@pytest.fixture(scope="module")
async def own(platform: Wiring, register: Register) -> AsyncIterator[Own]:
    async with running(platform, await register(), KITH_LIVE_STREAMS="5", KITH_LIVE_STREAMS_EACH="3") as edge:
        yield edge


@pytest.fixture
async def owner(register: Register) -> Person:
    return await register()


async def test_a_reader_goes_on_at_another_process(edge: httpx.AsyncClient, own: Own, owner: Person) -> None:
    async with events(edge, owner.headers) as reader:
        first = await make(edge, owner.headers, "First")
        last = (await reader.next())["id"]
    second = await make(edge, owner.headers, "Second")
    async with events(own.client, owner.headers | {"last-event-id": last}) as reader:
        assert (await reader.data())["resource"]["id"] == second["id"] != first["id"]


async def test_a_ticket_is_good_at_one_process_only(edge: httpx.AsyncClient, own: Own, owner: Person) -> None:
    once = await ticket(edge, owner.headers)
    async with events(own.client, {}, ticket=once):
        again = await edge.get("/v1/events:stream", params={"ticket": once})
    assert (again.status_code, again.json()["code"]) == (401, "TOKEN_INVALID")


async def test_streams_are_bounded_by_person_and_process(own: Own, owner: Person, register: Register) -> None:
    other = await register()
    await eventually(own.is_empty, pause=0.05)
    async with (
        events(own.client, owner.headers),
        messages(own.client, owner.headers),
        events(own.client, owner.headers),
        events(own.client, other.headers),
    ):
        one_too_many = await own.client.get("/v1/events:stream", headers=owner.headers)
        assert (one_too_many.status_code, one_too_many.json()["code"]) == (429, "RATE_LIMITED")
        async with messages(own.client, other.headers):
            full = await own.client.get("/v1/events:stream", headers=(await register()).headers)
        assert (full.status_code, full.json()["code"]) == (503, "OVERLOADED")
    await until_open(own, owner)


async def until_open(edge: Own, person: Person) -> None:
    """Wait until the edge takes a stream of the person."""
    async with asyncio.timeout(SECONDS):
        while True:
            async with edge.client.stream("GET", "/v1/events:stream", headers=person.headers) as answer:
                if answer.status_code == 200:
                    return
            await asyncio.sleep(0.05)


async def test_the_end_of_the_process_ends_streams_at_once(platform: Wiring, owner: Person) -> None:
    """Nobody waits for a stream, not even for a reader that takes nothing: the process may take ten minutes for what is in flight."""
    async with (
        running(platform, owner, **LONG_GRACE) as ending,
        events(ending.client, owner.headers) as reader,
        messages(ending.client, owner.headers) as socket,
    ):
        ending.process.send_signal(signal.SIGTERM)
        assert int((await reader.next())["retry"]) >= 500
        with pytest.raises(EOFError):
            await reader.next()
        with pytest.raises(ConnectionClosed) as closed:
            await said(socket)
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1012
        async with asyncio.timeout(SECONDS):
            assert await ending.process.wait() == 0


async def test_a_reader_that_takes_nothing_is_told_to_read_again(platform: Wiring, owner: Person, nats_admin: Client) -> None:
    """What waits for it stays small however much happens, and the process does not wait for it at its end."""
    async with running(platform, owner) as edge, stuck(edge, owner) as reader:
        process = psutil.Process(edge.process.pid)
        for number in range(CHANGES):
            await publish(nats_admin, owner.tenant_id, number)
        await heard(edge, owner)
        before = process.memory_info().rss  # with room for what comes at once, which may be many changes on a busy machine
        for number in range(MORE):
            await publish(nats_admin, owner.tenant_id, number)
        last = await make(edge.client, owner.headers, "Last")
        await heard(edge, owner)
        assert process.memory_info().rss - before < MORE * SIZE / 2
        said, rest = await reader.until(b"event: resync"), await reader.until(last["id"].encode())
        assert 0 < said.count(b"\ndata: ") < CHANGES * 1.5
        assert rest.count(b"event: resync") < CHANGES / 10
    async with running(platform, owner, **LONG_GRACE) as edge, stuck(edge, owner):
        for number in range(CHANGES):
            await publish(nats_admin, owner.tenant_id, number)
        edge.process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(SECONDS):
            assert await edge.process.wait() == 0


async def heard(edge: Own, person: Person) -> None:
    """Return when the edge has heard all that happened so far."""
    async with events(edge.client, person.headers) as other:
        await make(edge.client, person.headers, "Heard")
        await other.next()


CHANGES, SIZE = 400, 50_000  # together more than the kernel keeps for a connection
MORE = 3 * CHANGES  # a process that kept them would grow by far more than what comes at once ever takes


class Stuck(NamedTuple):
    """A reader that takes nothing from the kernel until it is asked."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def until(self, word: bytes) -> bytes:
        """Take everything up to a word."""
        self.writer.transport.resume_reading()
        async with asyncio.timeout(SECONDS):
            return await self.reader.readuntil(word)


@asynccontextmanager
async def stuck(edge: Own, person: Person) -> AsyncIterator[Stuck]:
    """Open a stream and take nothing from it until asked."""
    assert edge.client.base_url.port
    reader, writer = await narrow(edge.client.base_url.port)
    head = f"GET /v1/events:stream HTTP/1.1\r\nhost: x\r\nauthorization: {person.headers['authorization']}\r\n\r\n"
    writer.write(head.encode())
    await reader.readuntil(b"event: ready")
    writer.transport.pause_reading()
    reader._limit = 2**30  # of what one call looks through
    yield Stuck(reader, writer)
    writer.close()


async def publish(nats: Client, tenant_id: str, number: int) -> None:
    """Publish an event as a service does."""
    event = ContactUpdated(contact=Contact(id=str(uuid.uuid4()), display_name=f"{number} ".ljust(SIZE, "x")))
    envelope = Envelope.of_row(
        {
            "id": uuid.uuid4(),
            "tenant_id": tenant_id,
            "subject": f"kith.crm.contact.updated.v1.{tenant_id}",
            "created_at": datetime.now(UTC),
            "headers": {},
            "key": event.contact.id,
            "version": number,
        }
    )
    await nats.jetstream().publish(f"kith.crm.contact.updated.v1.{tenant_id}", event.SerializeToString(), headers=envelope.headers())
