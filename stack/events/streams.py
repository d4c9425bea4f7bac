"""A stretch of a stream that a service handles once more: asked for by the operator, done by the service, watched from here."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

import nats.errors
from nats.js import JetStreamContext
from nats.js.api import ConsumerConfig, ConsumerInfo, DeliverPolicy
from nats.js.errors import NotFoundError

from chassis import names
from chassis.events import stretches
from chassis.events.stretches import Stretch
from stack.events.progress import bar
from stack.events.reach import services
from stack.operator_client import connect
from stack.terminal import console, stop_with, tell
from stack.topology import OPERATOR
from stack.wiring import Wiring

POLL: Final = 0.5  # seconds between two looks how far it is
PATIENCE: Final = 30.0  # seconds in which the service has to begin


@dataclass(frozen=True, slots=True)
class Chosen:
    """Who handles whose events once more."""

    service: str
    source: str

    @property
    def stream(self) -> str:
        """Return the name of the stream; end the command if there is no such service."""
        return names.stream(services(self.source)[0])


async def replay(wiring: Wiring, chosen: Chosen, since: datetime | None, kind: str) -> None:
    """Ask for a replay, or find the one that is under way, and show how far it is until it is done."""
    services(chosen.service)
    async with _jetstream(wiring) as jetstream:
        if await stretches.find(jetstream, service=chosen.service, stream=chosen.stream):
            tell("a replay is under way; this shows how far it is")
        try:
            info = await stretches.ask(jetstream, service=chosen.service, stream=chosen.stream, start=_start(since), kind=kind)
        except NotFoundError:
            stop_with(f"{chosen.service} handles no {kind or 'events'} of {chosen.source}")
        total = await _watched(jetstream, chosen, info, Stretch.of(info))
    console.print(f"{total} events replayed.")


async def _watched(jetstream: JetStreamContext, chosen: Chosen, info: ConsumerInfo, stretch: Stretch) -> int:
    """Return how many events there were, once the service is done with them."""
    total, began = stretch.left(info), time.monotonic()
    now: ConsumerInfo | None = info
    with bar() as shown:
        task = shown.add_task("events", total=total)
        while now:
            shown.update(task, completed=max(0, total - stretch.left(now)))
            if not (now.delivered and now.delivered.consumer_seq) and total and time.monotonic() - began > PATIENCE:
                stop_with(f"{chosen.service} has not begun within {PATIENCE:g} s; it does so when it runs, and this command shows it then")
            await asyncio.sleep(POLL)
            now = await stretches.find(jetstream, service=chosen.service, stream=chosen.stream)
    return total


async def call_off(wiring: Wiring, chosen: Chosen) -> None:
    """End the replay that is under way; what it handled stays handled."""
    services(chosen.service)
    async with _jetstream(wiring) as jetstream:
        try:
            await stretches.end(jetstream, service=chosen.service, stream=chosen.stream)
        except NotFoundError:
            stop_with("no replay is under way")
    console.print("Called off.")


def _start(since: datetime | None) -> ConsumerConfig:
    if since is None:
        return ConsumerConfig(deliver_policy=DeliverPolicy.ALL)
    return ConsumerConfig(deliver_policy=DeliverPolicy.BY_START_TIME, opt_start_time=since.replace(tzinfo=UTC))


@asynccontextmanager
async def _jetstream(wiring: Wiring) -> AsyncIterator[JetStreamContext]:
    try:
        async with await connect(wiring.nats_url(OPERATOR)) as connection:
            yield connection.jetstream()
    except nats.errors.Error as error:
        raise ConnectionError(f"NATS does not answer: {type(error).__name__}") from None
