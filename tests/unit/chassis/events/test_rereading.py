"""A stretch of a stream is handled once more when an operator asks for it, beside what comes newly, whatever goes down meanwhile."""

import asyncio
import sys

import pytest
from nats.js.api import ConsumerConfig, ConsumerInfo, DeliverPolicy
from nats.js.errors import NotFoundError
from prometheus_client import REGISTRY

from chassis import ids
from chassis.database import UnitOfWork
from chassis.events import consumer, intake, rereading, stretches
from chassis.events.broker import Broker
from chassis.events.relay import Relay
from kith.crm.v1.events_pb2 import ContactCreated, ContactUpdated
from tests.unit.chassis.events.happening import Consuming, Publish, carried, created, updated
from tests.unit.chassis.moving import eventually
from tests.unit.chassis.servers import Served

ALL = ConsumerConfig(deliver_policy=DeliverPolicy.ALL)


class Projection:
    """What a handler made of events: for each how often."""

    def __init__(self) -> None:
        self.effects: dict[tuple[str, str], int] = {}
        self.broken = False
        self.most = sys.maxsize  # effects, after which handlers wait until it goes on
        self.goes_on = asyncio.Event()

    async def keep(self, work: UnitOfWork, event: ContactCreated) -> None:
        if self.broken:
            raise ValueError
        if sum(self.effects.values()) >= self.most:
            await self.goes_on.wait()
        effect = (event.contact.id, event.contact.etag)
        self.effects[effect] = self.effects.get(effect, 0) + 1


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rereading, "LOOK", 0.05)
    monkeypatch.setattr(rereading, "WATCH", 0.05)


async def ask(broker: Broker, start: ConsumerConfig = ALL, kind: str = "") -> ConsumerInfo:
    return await stretches.ask(broker.jetstream, service="crm", stream="KITH_CRM", start=start, kind=kind)


async def is_under_way(broker: Broker) -> bool:
    return await stretches.find(broker.jetstream, service="crm", stream="KITH_CRM") is not None


async def is_over(broker: Broker) -> bool:
    return not await is_under_way(broker)


async def test_every_event_has_its_effect_once_more(relay: Relay, publish: Publish, consuming: Consuming, broker: Broker) -> None:
    projection = Projection()
    keys = [ids.new() for _ in range(50)]
    await publish(*(created(key) for key in keys))
    async with consuming({ContactCreated: projection.keep}):
        await eventually(lambda: len(projection.effects) == 50)
        await ask(broker)
        await eventually(lambda: is_over(broker))
        assert projection.effects == {(key, '"1"'): 2 for key in keys}
        await ask(broker)
        await eventually(lambda: is_over(broker))
    assert set(projection.effects.values()) == {3}


async def test_it_starts_where_it_was_told_and_takes_the_type_that_was_named(
    relay: Relay, publish: Publish, consuming: Consuming, broker: Broker, crm: Served
) -> None:
    projection, other = Projection(), Projection()
    keys = [ids.new() for _ in range(4)]
    for key in keys:
        await publish(created(key))
        await carried(crm)
    await publish(updated(keys[3], 2))
    async with consuming({ContactCreated: projection.keep, ContactUpdated: other.keep}):
        await eventually(lambda: len(projection.effects) == 4 and len(other.effects) == 1)
        start = ConsumerConfig(deliver_policy=DeliverPolicy.BY_START_SEQUENCE, opt_start_seq=3)
        await ask(broker, start, "crm.contact.created.v1")
        await eventually(lambda: is_over(broker))
    assert [projection.effects[key, '"1"'] for key in keys] == [1, 1, 2, 2]
    assert other.effects == {(keys[3], '"2"'): 1}


async def test_what_comes_newly_is_handled_beside_it_and_once(relay: Relay, publish: Publish, consuming: Consuming, broker: Broker) -> None:
    projection = Projection()
    old, new = [ids.new() for _ in range(200)], [ids.new() for _ in range(100)]
    await publish(*(created(key) for key in old))
    async with consuming({ContactCreated: projection.keep}):
        await eventually(lambda: len(projection.effects) == 200)
        await ask(broker)
        for key in new:
            await publish(created(key))
        await eventually(lambda: is_over(broker))
        await eventually(lambda: len(projection.effects) == 300)
    assert projection.effects == {(key, '"1"'): 2 for key in old} | {(key, '"1"'): 1 for key in new}


async def test_a_replay_that_was_killed_goes_on_and_doubles_nothing(
    relay: Relay, publish: Publish, consuming: Consuming, broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(consumer, "ACK_SECONDS", 1.0)
    monkeypatch.setattr(intake, "ACK_SECONDS", 1.0)
    projection = Projection()
    keys = [ids.new() for _ in range(100)]
    await publish(*(created(key) for key in keys))
    async with consuming({ContactCreated: projection.keep}):
        await eventually(lambda: len(projection.effects) == 100)
        projection.most = 110
        info = await ask(broker)
        await eventually(lambda: sum(projection.effects.values()) >= 110)
        asyncio.get_running_loop().call_later(0.2, projection.goes_on.set)  # when it is stopping
    assert sum(projection.effects.values()) < 200
    assert (await ask(broker)).config.metadata == info.config.metadata
    async with consuming({ContactCreated: projection.keep}):
        await eventually(lambda: is_over(broker))
    assert projection.effects == {(key, '"1"'): 2 for key in keys}


async def test_a_replay_that_is_called_off_ends(relay: Relay, publish: Publish, consuming: Consuming, broker: Broker) -> None:
    projection = Projection()
    await publish(created(ids.new()))
    async with consuming({ContactCreated: projection.keep}):
        await eventually(lambda: len(projection.effects) == 1)
        projection.broken = True
        await ask(broker)
        await asyncio.sleep(0.3)
        assert await is_under_way(broker)
        await stretches.end(broker.jetstream, service="crm", stream="KITH_CRM")
        projection.broken = False
        last = ids.new()
        await publish(created(last))
        await eventually(lambda: (last, '"1"') in projection.effects)
        await ask(broker)
        await eventually(lambda: is_over(broker))
    assert set(projection.effects.values()) == {2}


async def test_what_fails_in_a_replay_becomes_a_letter_of_the_replay(
    relay: Relay, publish: Publish, consuming: Consuming, broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(intake, "TRIES", 1)
    projection = Projection()
    await publish(created(ids.new()))
    async with consuming({ContactCreated: projection.keep}):
        await eventually(lambda: len(projection.effects) == 1)
        projection.broken = True
        await ask(broker)
        await eventually(lambda: is_over(broker))
        await eventually(lambda: letters() == 1)
    assert set(projection.effects.values()) == {1}


def letters() -> float | None:
    return REGISTRY.get_sample_value("kith_dead_letters", {"messaging_consumer_group_name": "crm", "stream": "KITH_CRM"})


async def test_what_a_service_does_not_handle_is_not_replayed(relay: Relay, consuming: Consuming, broker: Broker) -> None:
    with pytest.raises(NotFoundError):
        await ask(broker)
    async with consuming({ContactCreated: Projection().keep}):
        await eventually(lambda: consumes(broker))
        with pytest.raises(NotFoundError):
            await ask(broker, kind="crm.contact.updated.v1")


async def consumes(broker: Broker) -> bool:
    try:
        await broker.jetstream.consumer_info("KITH_CRM", "crm")
    except NotFoundError:
        return False
    return True
