"""Edges tell each other their counts over NATS, and carry on alone without it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, cast

import pytest
from nats.errors import OutboundBufferLimitError

from chassis.events.broker import Broker
from gateway import sharing
from gateway.limits import Rate, Tier, TierLimit
from gateway.problems import Problem
from gateway.sharing import Sharing


@dataclass
class Said:
    data: bytes


@dataclass
class Bus:
    """NATS as clients see it: what one says, all hear."""

    is_connected: bool = True
    full: bool = False
    ears: list[Callable[[Any], Awaitable[None]]] = field(default_factory=list)
    said: list[bytes] = field(default_factory=list)

    async def subscribe(self, _: str, cb: Callable[[Any], Awaitable[None]]) -> None:
        self.ears.append(cb)

    async def publish(self, _: str, data: bytes) -> None:
        if self.full:
            raise OutboundBufferLimitError
        self.said.append(data)
        for hear in self.ears:
            await hear(Said(data))


@dataclass
class Connected:
    client: Bus


class Edge:
    """The limits of one edge, and its sharing."""

    def __init__(self, bus: Bus) -> None:
        tier = Tier(principal=Rate(count=1, seconds=1000, burst=2), tenant=Rate(count=1, seconds=1000, burst=3))
        self.limit = TierLimit("READ", tier)
        self.running = asyncio.create_task(Sharing(cast("Broker", Connected(bus)), {"READ": self.limit}).run())

    def allows(self, principal: str) -> bool:
        try:
            self.limit.take(principal=principal, tenant="tenant")
        except Problem:
            return False
        return True


Make = Callable[[Bus], Edge]


@pytest.fixture
async def edge(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Make]:
    monkeypatch.setattr(sharing, "PAUSE", 0)  # a turn of the loop each
    made: list[Edge] = []

    def make(bus: Bus) -> Edge:
        made.append(Edge(bus))
        return made[-1]

    yield make
    for each in made:
        each.running.cancel()
    await asyncio.gather(*(each.running for each in made), return_exceptions=True)


async def told() -> None:
    """Give every edge some turns, in which it tells what it counted."""
    for _ in range(20):
        await asyncio.sleep(0)


async def test_what_one_edge_let_through_another_counts(edge: Make) -> None:
    bus = Bus()
    first, second = edge(bus), edge(bus)
    await told()
    assert first.allows("a")
    await told()
    assert second.allows("a")
    assert not second.allows("a")
    assert first.allows("b")
    await told()
    assert not second.allows("c"), "the tenant has used all of its three"


async def test_without_nats_an_edge_holds_its_limits_alone_and_forgets_what_it_could_not_tell(edge: Make) -> None:
    bus = Bus(is_connected=False)
    first, second = edge(bus), edge(bus)
    assert first.allows("a")
    await told()
    bus.is_connected = True
    await told()
    assert bus.said == []
    assert second.allows("a")
    await told()
    assert len(bus.said) == 2


async def test_a_full_buffer_ends_nothing(edge: Make) -> None:
    bus = Bus(full=True)
    only = edge(bus)
    assert only.allows("a")
    await told()
    assert not only.running.done()


async def test_a_word_of_another_release_is_no_harm(edge: Make) -> None:
    bus = Bus()
    only = edge(bus)
    await told()
    await bus.publish("", b'["another", "no-such-tier", {"a": 5}]')
    assert only.allows("a")
