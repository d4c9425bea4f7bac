"""Events reach their handlers once, in the order of their key, whatever goes down on the way."""

import asyncio

import pytest
from prometheus_client import REGISTRY

from chassis import ids
from chassis.database import UnitOfWork
from chassis.events import consumer as consumer_module
from chassis.events import intake
from chassis.events.broker import Broker
from chassis.events.envelope import Envelope
from chassis.events.relay import Relay
from kith.crm.v1.events_pb2 import ContactCreated
from tests.unit.chassis.events.happening import Consuming, Publish, carried, created, has, in_stream, updated
from tests.unit.chassis.moving import eventually
from tests.unit.chassis.servers import Nats, Served


async def test_a_handler_sees_each_event_once_in_the_order_of_its_key(relay: Relay, publish: Publish, consuming: Consuming) -> None:
    seen: list[tuple[str, str]] = []
    busy: set[str] = set()
    most = 0

    async def keep(work: UnitOfWork, event: ContactCreated) -> None:
        nonlocal most
        assert event.contact.id not in busy
        busy.add(event.contact.id)
        most = max(most, len(busy))
        await asyncio.sleep(0.001)
        busy.discard(event.contact.id)
        seen.append((event.contact.id, event.contact.etag))

    keys = [ids.new() for _ in range(30)]
    for version in range(1, 5):
        await publish(*(created(key, version) for key in keys))
    async with consuming({ContactCreated: keep}):
        await eventually(lambda: len(seen) == 120)
    assert len(set(seen)) == 120
    for key in keys:
        assert [etag for each, etag in seen if each == key] == ['"1"', '"2"', '"3"', '"4"']
    assert most > 1


async def test_a_handler_commits_with_the_note_that_it_ran(
    relay: Relay, publish: Publish, consuming: Consuming, crm: Served, broker: Broker
) -> None:
    tries = 0

    async def publish_more(work: UnitOfWork, event: ContactCreated) -> None:
        nonlocal tries
        tries += 1
        work.publish(updated(event.contact.id, 2))
        if tries == 1:
            raise ValueError("the first try fails after it wrote")

    key = ids.new()
    await publish(created(key))
    async with consuming({ContactCreated: publish_more}):
        await eventually(lambda: tries == 2)
        await eventually(lambda: has(crm, "published_at IS NOT NULL", 2))
    assert await in_stream(broker) == [(key, 1), (key, 2)]


async def test_an_event_that_comes_twice_has_one_effect(
    relay: Relay, publish: Publish, consuming: Consuming, broker: Broker, crm: Served
) -> None:
    seen: list[str] = []

    async def keep(work: UnitOfWork, event: ContactCreated) -> None:
        seen.append(event.contact.id)

    first, last = ids.new(), ids.new()
    await publish(created(first))
    await carried(crm)
    async with consuming({ContactCreated: keep}):
        await eventually(lambda: seen == [first])
    await broker.jetstream.delete_consumer("KITH_CRM", "crm")  # a new one begins at the stream's start
    async with consuming({ContactCreated: keep}):
        await publish(created(last))
        await eventually(lambda: last in seen)
    assert seen == [first, last]


async def test_a_failing_key_waits_and_holds_up_nobody(relay: Relay, publish: Publish, consuming: Consuming) -> None:
    seen: list[tuple[str, str]] = []
    broken = True

    async def keep(work: UnitOfWork, event: ContactCreated) -> None:
        if broken and event.contact.id == bad and event.contact.etag == '"1"':
            raise RuntimeError("not now")
        seen.append((event.contact.id, event.contact.etag))

    bad, good = ids.new(), ids.new()
    await publish(created(bad, 1), created(bad, 2), created(good, 1), created(good, 2))
    async with consuming({ContactCreated: keep}):
        await eventually(lambda: len(seen) == 2)
        assert seen == [(good, '"1"'), (good, '"2"')]
        await asyncio.sleep(1.5)
        assert len(seen) == 2
        broken = False
        await eventually(lambda: len(seen) == 4)
    assert seen[2:] == [(bad, '"1"'), (bad, '"2"')]


async def test_a_failing_event_holds_up_no_other_organisation_that_has_the_same_key(
    relay: Relay, publish: Publish, consuming: Consuming
) -> None:
    seen: list[str] = []
    person, other = ids.new(), ids.new()

    async def keep(work: UnitOfWork, event: ContactCreated) -> None:
        if work.tenant_id != other:
            raise RuntimeError("not now")
        seen.append(event.contact.etag)

    await publish(created(person, 1))
    await publish(created(person, 1), created(person, 2), of=other)
    async with consuming({ContactCreated: keep}):
        await eventually(lambda: seen == ['"1"', '"2"'])


async def test_what_nobody_handles_is_passed_over(publish: Publish, consuming: Consuming, broker: Broker) -> None:
    seen: list[str] = []

    async def keep(work: UnitOfWork, event: ContactCreated) -> None:
        seen.append(event.contact.id)

    tenant, key = ids.new(), ids.new()
    async with consuming({ContactCreated: keep}):
        await broker.jetstream.publish(f"kith.crm.contact.created.v1.{tenant}", b"\xff")
        headers = Envelope(id="m", type="crm.else.v1", source="crm", time="", tenant_id=tenant, key=key, version=1).headers()
        await broker.jetstream.publish(f"kith.crm.contact.created.v1.{tenant}", b"", headers=headers)
        good = Envelope(id="n", type="crm.contact.created.v1", source="crm", time="", tenant_id=tenant, key=key, version=1).headers()
        await broker.jetstream.publish(f"kith.crm.contact.created.v1.{tenant}", created(key).SerializeToString(), headers=good)
        await eventually(lambda: seen == [key])


async def test_a_stopping_consumer_ends_what_it_began_and_gives_back_the_rest(
    relay: Relay, publish: Publish, consuming: Consuming, crm: Served
) -> None:
    begun: list[str] = []
    ended: list[str] = []
    may_end = asyncio.Event()

    async def keep(work: UnitOfWork, event: ContactCreated) -> None:
        begun.append(event.contact.id)
        await may_end.wait()
        ended.append(event.contact.id)

    keys = {ids.new() for _ in range(60)}
    await publish(*(created(key) for key in keys))
    await carried(crm)
    async with consuming({ContactCreated: keep}):
        await eventually(lambda: bool(begun))
        asyncio.get_running_loop().call_later(0.2, may_end.set)  # when it is stopping
    assert sorted(begun) == sorted(ended)
    assert len(ended) < 60
    async with consuming({ContactCreated: keep}):
        await eventually(lambda: len(ended) >= 60, seconds=intake.ACK_SECONDS * 0.9)  # what was not given back would come later
    assert sorted(ended) == sorted(keys)


async def test_the_consumer_survives_nats(relay: Relay, publish: Publish, consuming: Consuming, nats_server: Nats) -> None:
    seen: list[str] = []

    async def keep(work: UnitOfWork, event: ContactCreated) -> None:
        seen.append(event.contact.id)

    first, last = ids.new(), ids.new()
    async with consuming({ContactCreated: keep}):
        await publish(created(first))
        await eventually(lambda: seen == [first])
        await nats_server.stop()
        await publish(created(last))
        await nats_server.start()
        await eventually(lambda: last in seen)
    assert seen == [first, last]


async def test_a_process_may_start_before_nats(nats_server: Nats) -> None:
    await nats_server.stop()
    broker = Broker(nats_server.url, name="crm")
    connecting = asyncio.create_task(broker.__aenter__())
    await asyncio.sleep(0.2)
    assert not connecting.done()
    with pytest.raises(ConnectionError):
        await broker.ping()
    await nats_server.start()
    await connecting
    await broker.ping()
    await broker.__aexit__()


async def test_a_slow_handler_keeps_its_event(
    relay: Relay, publish: Publish, consuming: Consuming, broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(intake, "ACK_SECONDS", 3.0)
    monkeypatch.setattr(consumer_module, "ACK_SECONDS", 3.0)
    monkeypatch.setattr(consumer_module, "MEASURED", 0.3)
    begun: list[str] = []
    ended: list[str] = []
    may_end = asyncio.Event()

    async def keep(work: UnitOfWork, event: ContactCreated) -> None:
        begun.append(event.contact.id)
        await asyncio.sleep(4)
        await may_end.wait()
        ended.append(event.contact.id)

    def pending() -> float | None:
        return REGISTRY.get_sample_value("kith_consumer_pending", {"messaging_consumer_group_name": "crm", "stream": "KITH_CRM"})

    async with consuming({ContactCreated: keep}):
        await publish(created(ids.new()))
        await eventually(lambda: pending() == 1)
        may_end.set()
        await eventually(lambda: len(ended) == 1)
        info = await broker.jetstream.consumer_info("KITH_CRM", "crm")
    assert len(begun) == 1
    assert info.num_redelivered == 0


async def test_a_consumer_that_was_deleted_is_made_again(relay: Relay, publish: Publish, consuming: Consuming, broker: Broker) -> None:
    seen: list[str] = []

    async def keep(work: UnitOfWork, event: ContactCreated) -> None:
        seen.append(event.contact.id)

    first, last = ids.new(), ids.new()
    async with consuming({ContactCreated: keep}):
        await publish(created(first))
        await eventually(lambda: seen == [first])
        await broker.jetstream.delete_consumer("KITH_CRM", "crm")
        await publish(created(last))
        await eventually(lambda: last in seen)
    assert seen == [first, last]
