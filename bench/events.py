"""`python -m bench.events`: commit events at a steady rate, handle them in another process as a service does, print how late, stop.

The writer and its relay are one process, the consumer with its inbox another, as two services are. How late an event is runs from
the answer to its commit to the beginning of its handler. Ends with 1 when the goal is missed.
"""

import argparse
import asyncio
import itertools
import multiprocessing
import secrets
import tempfile
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from statistics import quantiles
from typing import Final

import uvloop
from google.protobuf.message import Message
from rich.console import Console
from rich.table import Table

from chassis import ids
from chassis.context import Caller, CallerKind, Request, enter
from chassis.database import Database, UnitOfWork, unit_of_work
from chassis.events.broker import Broker
from chassis.events.consumer import consumers
from chassis.events.handling import Handler
from chassis.events.relay import Relay
from chassis.events.subject_keys import local
from chassis.sealing.keys import Memory, RootKey
from chassis.vault import KEY_BYTES
from kith.crm.v1.contacts_pb2 import Contact
from kith.crm.v1.events_pb2 import ContactUpdated
from kith.crm.v1.parts_pb2 import Email
from stack.launch import Platform, backing
from stack.settings import Settings
from stack.topology import OPERATOR, default_ports

SERVICE: Final = "crm"
RATE: Final = 250
WARM_SECONDS: Final = 3.0
SECONDS: Final = 20.0
CONTACTS: Final = 500
LAST_SECONDS: Final = 5.0
"""For events to arrive behind the last commit."""
GOAL: Final = 10.0
"""Milliseconds that 99 of 100 events may be late."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a process finds database and streams, and the key under which those of contacts are kept."""

    runtime: str
    system: str
    nats: str
    root: bytes

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[tuple[Database, Broker]]:
        """Connect to both for the length of a block."""
        async with Database(self.runtime, keys=Memory(RootKey(self.root))) as database, Broker(self.nats, name=SERVICE) as broker:
            yield database, broker


async def main(rate: int) -> None:
    """Run the whole bench; it stops by itself."""
    with tempfile.TemporaryDirectory(prefix="kith-bench-") as folder:
        settings = Settings(data=Path(folder), ports=dict.fromkeys(default_ports(), 0))
        async with backing(settings, lambda _: None) as platform:
            late = await _late(_place(platform), rate)
    shares = quantiles(late, n=100)
    _show(Console(width=110), rate, late, shares)
    raise SystemExit(0 if shares[98] <= GOAL else 1)


def _place(platform: Platform) -> Place:
    """Return the place with the operator's streams: no service has a right to consume what crm publishes."""
    wiring = platform.wiring
    nats = wiring.nats_url(OPERATOR)
    return Place(wiring.dsn(SERVICE, "runtime"), wiring.dsn(SERVICE, "system"), nats, secrets.token_bytes(KEY_BYTES))


async def _late(place: Place, rate: int) -> list[float]:
    """Return by how many milliseconds each event was late."""
    here, there = multiprocessing.Pipe()
    consumer = multiprocessing.get_context("spawn").Process(target=_consume, args=(place, there), daemon=True)
    consumer.start()
    await asyncio.to_thread(here.recv)
    async with place.opened() as (database, broker), Relay(broker, service=SERVICE, dsn=place.system):
        writer = Writer(database)
        await writer.write(rate, WARM_SECONDS)
        committed = await writer.write(rate, SECONDS)
        await asyncio.sleep(LAST_SECONDS)
    here.send(None)
    begun: dict[str, float] = await asyncio.to_thread(here.recv)
    consumer.join()
    return [(begun[etag] - moment) * 1000 for etag, moment in committed.items()]


class Writer:
    """Commits one event after the other about contacts of one tenant, each with a version of its own."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._user = Caller(kind=CallerKind.USER, tenant_id=ids.new(), user_id=ids.new())
        self._contacts = [ids.new() for _ in range(CONTACTS)]
        self._versions = itertools.count(1)

    async def write(self, rate: int, seconds: float) -> dict[str, float]:
        """Begin each commit when it is due; return when it was answered, by the contact's etag."""
        committed: dict[str, float] = {}
        start = time.monotonic()
        async with asyncio.TaskGroup() as group:
            for number in range(int(rate * seconds)):
                await asyncio.sleep(start + number / rate - time.monotonic())
                group.create_task(self._commit(committed))
        return committed

    async def _commit(self, committed: dict[str, float]) -> None:
        enter(Request(request_id=ids.new(), database=self._database, caller=self._user, origin="bench"))
        version = next(self._versions)
        after = _contact(self._contacts[version % CONTACTS], version)
        async with unit_of_work() as work:
            work.publish(ContactUpdated(contact=after))
        committed[after.etag] = time.monotonic()


def _contact(contact_id: str, version: int) -> Contact:
    """Return a contact that makes an event of some 500 bytes."""
    emails = [Email(address=f"person{version}.{place}@example.com", label="work") for place in range(2)]
    return Contact(id=contact_id, etag=f'"{version}"', given_name="Given", family_name="Family", emails=emails, tags=["customer"] * 20)


def _consume(place: Place, there: Connection) -> None:
    """Handle events in a process of its own until something is said; answer with the moments, by the contact's etag."""
    uvloop.run(_consumed(place, there))


async def _consumed(place: Place, there: Connection) -> None:
    begun: dict[str, float] = {}

    async def hear(_: UnitOfWork, event: ContactUpdated) -> None:
        begun[event.contact.etag] = time.monotonic()

    async with place.opened() as (database, broker):
        handlers: list[Mapping[type[Message], Handler]] = [{ContactUpdated: hear}]
        (consumer,) = consumers(broker, service=SERVICE, handlers=handlers, database=database, opener=lambda _: local(), dsn=place.system)
        async with consumer:
            there.send(None)
            await asyncio.to_thread(there.recv)
    there.send(begun)


def _show(console: Console, rate: int, late: list[float], shares: list[float]) -> None:
    table = Table(title=f"{len(late):,} events at {rate} commits/s, commit to consumer, milliseconds", title_justify="left")
    figures = {"p50": shares[49], "p95": shares[94], "p99": shares[98], "most": max(late), "goal of p99": GOAL}
    for heading in figures:
        table.add_column(heading, justify="right")
    table.add_row(*(f"{figure:.1f}" for figure in figures.values()))
    console.print(table)


def _rate() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.events", description=__doc__)
    parser.add_argument("--rate", type=int, default=RATE, help="commits a second")
    return int(parser.parse_args().rate)


if __name__ == "__main__":
    uvloop.run(main(_rate()))
