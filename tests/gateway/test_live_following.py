"""Streams are heard for the organisations that somebody reads, by one consumer, and nobody misses anything while others come and go."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import nats
import pytest
from nats.aio.client import Client
from nats.js.api import ConsumerInfo, StorageType
from nats.js.errors import NotFoundError

from chassis import ids, names
from chassis.background import task
from chassis.events.broker import Broker
from chassis.sealing.opening import Opener
from chassis.tokens.trust import Trust
from gateway.live import feed as feeds
from gateway.live import following
from gateway.live.feed import Feed
from gateway.live.reader import Reader
from gateway.live.service import Live
from gateway.settings import EdgeSettings
from tests.gateway.test_live_feed import KINDS, SEAL, Service, admission, seen, shown
from tests.unit.chassis import servers
from tests.unit.chassis.moving import eventually
from tests.unit.chassis.servers import Nats

STREAM = names.stream("crm")


class World:
    """A stream of its own, what is published on it, and a feed that hears it."""

    def __init__(self, client: Client, broker: Broker) -> None:
        self.client = client
        self.broker = broker
        self.service = Service()
        self.feed = Feed(broker, KINDS, {"crm": Opener(self.service.ask)}, SEAL)
        self._numbers: Iterator[int] = count(1)

    async def comes(self, tenant_id: str) -> Reader:
        return self.feed.add(admission(tenant_id), await self.feed.places(tenant_id, {}))

    async def happens(self, tenant_id: str) -> str:
        """Publish an event of a person; return its name."""
        number = next(self._numbers)
        event = self.service.created(number, tenant_id)
        await self.client.jetstream().publish(event.subject, event.data, headers=event.headers)
        return str(number)

    async def consumers(self) -> list[ConsumerInfo]:
        """Return the consumers that somebody listens to."""
        return [each for each in await self.client.jetstream().consumers_info(STREAM) if each.push_bound]

    async def heard(self) -> set[str]:
        """Return the subjects that come."""
        configs = [each.config for each in await self.consumers()]
        return {subject for each in configs for subject in each.filter_subjects or [each.filter_subject or ""]}

    async def hears(self, *tenants: str) -> None:
        wanted = {names.subjects_of("crm", tenant_id) for tenant_id in tenants}

        async def holds() -> bool:
            return await self.heard() == wanted

        await eventually(holds)


@pytest.fixture(scope="module")
async def server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Nats]:
    async with servers.nats_server(tmp_path_factory.mktemp("nats")) as server:
        yield server


@pytest.fixture
async def world(server: Nats, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    monkeypatch.setattr(following, "PAUSE", 0.05)
    monkeypatch.setattr(feeds, "PAUSE", 0.05)
    client = await nats.connect(server.url)
    await client.jetstream().add_stream(name=STREAM, subjects=[names.subjects("crm")], storage=StorageType.MEMORY, allow_direct=True)
    async with Broker(server.url, name="edge") as broker:
        world = World(client, broker)
        async with task(world.feed.run(), name="feed"):
            yield world
    with contextlib.suppress(NotFoundError):  # what is in memory ends with its server
        await client.jetstream().delete_stream(STREAM)
    await client.close()


async def taken(reader: Reader, number: int) -> list[str]:
    """Return the names of so many people that a reader was told of."""
    found: list[str] = []
    async with asyncio.timeout(20):
        while len(found) < number:
            found += await seen(reader)
    return found


async def test_nothing_is_heard_while_nobody_reads_and_a_reader_sees_what_comes_after_it_only(world: World) -> None:
    tenant_id = ids.new()
    await world.happens(tenant_id)
    assert await world.consumers() == []
    reader = await world.comes(tenant_id)
    after = [await world.happens(tenant_id) for _ in range(3)]
    assert await taken(reader, 3) == after
    await world.hears(tenant_id)


async def test_only_organisations_with_a_reader_are_heard_and_for_those_who_left_it_ends(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feeds, "UNREAD", 1)
    one, two = ids.new(), ids.new()
    readers = [await world.comes(one), await world.comes(two)]
    await world.hears(one, two)
    world.feed.remove(readers[1])
    await world.hears(one)
    await world.happens(two)
    last = await world.happens(one)
    assert await taken(readers[0], 1) == [last]
    world.feed.remove(readers[0])
    await world.hears()
    again = await world.comes(one)
    last = await world.happens(one)
    assert await taken(again, 1) == [last]


async def test_who_reads_misses_nothing_and_sees_nothing_twice_while_others_come_and_go(world: World) -> None:
    tenant_id, said = ids.new(), list[str]()
    reader = await world.comes(tenant_id)
    for _ in range(20):
        other = ids.new()
        said.append(await world.happens(tenant_id))
        past = await world.happens(other)
        stranger = await world.comes(other)
        said.append(await world.happens(tenant_id))
        present = await world.happens(other)
        assert past != present
        assert await taken(stranger, 1) == [present]
        world.feed.remove(stranger)
    assert await taken(reader, len(said)) == said


async def test_two_who_come_to_an_organisation_at_once_see_the_same(world: World) -> None:
    tenant_id = ids.new()
    readers = await asyncio.gather(*(world.comes(tenant_id) for _ in range(2)))
    said = [await world.happens(tenant_id) for _ in range(3)]
    assert [await taken(reader, 3) for reader in readers] == [said, said]


async def test_a_place_that_was_asked_for_before_others_read_on_sets_nobody_back(world: World) -> None:
    tenant_id = ids.new()
    places = await world.feed.places(tenant_id, {})
    first = await world.comes(tenant_id)
    said = [await world.happens(tenant_id) for _ in range(3)]
    assert await taken(first, 3) == said
    world.feed.remove(first)
    second = world.feed.add(admission(tenant_id), places)
    assert second.since == world.feed.positions == {"crm": 3}
    last = await world.happens(tenant_id)
    assert await taken(second, 1) == [last]


@pytest.fixture
def live(world: World, tmp_path: Path) -> Live:
    """Return what lets readers in to the feed; it reads of the past what the feed still waits for the keys of."""
    key_file = tmp_path / "key"
    key_file.write_text('{"d": "secret"}')
    settings = SimpleNamespace(service_key_file=key_file, live_streams=10, live_streams_each=10)
    service = Service()
    service.keys = world.service.keys
    trust = SimpleNamespace(revoked=())
    live = Live(cast("EdgeSettings", settings), cast("Trust", trust), world.broker, KINDS, {"crm": Opener(service.ask)})
    live.feed = world.feed
    return live


async def told(live: Live, reader: Reader, place: int, number: int) -> list[str]:
    """Return the first so many things that a reader is told that comes back with a place."""
    found: list[str] = []
    async with asyncio.timeout(20), aclosing(live.changes(reader, {"crm": place})) as changes:
        while len(found) < number:
            found += shown(await anext(changes))
    return found


async def test_a_reader_that_comes_from_a_process_that_is_ahead_misses_nothing_and_sees_nothing_twice(world: World, live: Live) -> None:
    tenant_id = ids.new()
    first = await world.comes(tenant_id)
    world.service.answers.clear()
    said = [await world.happens(tenant_id) for _ in range(3)]
    back = {place: await live.enter(admission(tenant_id), {"crm": place}) for place in (2, 3)}
    assert world.feed.positions == {"crm": 0}
    world.service.answers.set()
    said.append(await world.happens(tenant_id))
    assert await taken(first, 4) == said
    assert [await told(live, reader, place, 5 - place) for place, reader in back.items()] == [["ready", *said[2:]], ["ready", said[3]]]
    assert await world.feed.places(tenant_id, {"crm": 4}) == {}


async def test_a_place_behind_the_end_of_a_stream_is_one_of_a_stream_before_it(world: World, live: Live) -> None:
    tenant_id = ids.new()
    await world.comes(tenant_id)
    reader = await live.enter(admission(tenant_id), {"crm": 150})
    last = await world.happens(tenant_id)
    assert await told(live, reader, 150, 3) == ["ready", "resync", last]


async def test_of_very_many_organisations_everything_is_heard_and_another_one_begins_nothing_anew(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(following, "MOST", 1)
    tenants = [ids.new() for _ in range(3)]
    for tenant_id in tenants[:2]:
        await world.comes(tenant_id)

    async def hears_all() -> bool:
        return await world.heard() == {names.subjects("crm")}

    await eventually(hears_all)
    before = [each.name for each in await world.consumers()]
    third = await world.comes(tenants[2])
    last = await world.happens(tenants[2])
    assert await taken(third, 1) == [last]
    assert [each.name for each in await world.consumers()] == before


async def test_a_quiet_reader_s_place_moves_on_with_the_stream(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else its id would name a place that the stream keeps no longer, though it missed nothing."""
    monkeypatch.setattr("chassis.events.ordered.HEARTBEAT", 0.2)
    quiet, loud = ids.new(), ids.new()
    reader = await world.comes(quiet)
    for _ in range(5):
        await world.happens(loud)
    await eventually(lambda: world.feed.positions == {"crm": 5})
    last = await world.happens(quiet)
    assert await taken(reader, 1) == [last]


async def test_a_stream_that_begins_anew_is_heard_from_its_beginning_and_readers_are_told(world: World) -> None:
    tenant_id = ids.new()
    reader = await world.comes(tenant_id)
    said = [await world.happens(tenant_id) for _ in range(3)]
    assert await taken(reader, 3) == said
    await world.client.jetstream().delete_stream(STREAM)
    await world.client.jetstream().add_stream(name=STREAM, subjects=[names.subjects("crm")], storage=StorageType.MEMORY)
    world.feed.remove(await world.comes(ids.new()))
    assert await taken(reader, 1) == ["resync"]
    last = await world.happens(tenant_id)
    assert await taken(reader, 1) == [last]


async def test_while_nats_is_away_places_are_not_known(server: Nats, world: World) -> None:
    await server.stop()
    await eventually(lambda: not world.client.is_connected)
    try:
        with pytest.raises(OSError, match="not connected"):
            await world.feed.places(ids.new(), {})
    finally:
        await server.start()
        await eventually(lambda: world.client.is_connected)
