"""What was committed is carried into its stream once, in the order of its key, whatever goes down on the way."""

import psycopg
import pytest

from chassis import ids
from chassis.events import held
from chassis.events.broker import Broker
from chassis.events.relay import Relay
from chassis.events.streams import Limits, configuration
from chassis.telemetry import metrics
from kith.crm.v1.events_pb2 import ContactUpdated
from tests.unit.chassis.events.happening import Publish, carried, created, has, in_stream, updated
from tests.unit.chassis.moving import eventually
from tests.unit.chassis.servers import Nats, Served


async def test_committed_events_are_carried_in_order_and_once(relay: Relay, publish: Publish, broker: Broker, crm: Served) -> None:
    keys = [ids.new() for _ in range(40)]
    for version in range(1, 6):
        await publish(*(created(key, version) for key in keys))
    await carried(crm)
    found = await in_stream(broker)
    assert len(found) == 200
    for key in keys:
        assert [version for each, version in found if each == key] == [1, 2, 3, 4, 5]


async def test_an_event_says_who_and_what_on_its_outside(relay: Relay, publish: Publish, broker: Broker, crm: Served) -> None:
    key = ids.new()
    await publish(updated(key, 7))
    await carried(crm)
    message = await broker.jetstream.get_msg("KITH_CRM", 1)
    assert message.headers is not None
    assert message.subject == f"kith.crm.contact.updated.v1.{message.headers['kith-tenant']}"
    assert message.headers["Nats-Msg-Id"] == message.headers["ce-id"]
    assert message.headers["ce-type"] == "crm.contact.updated.v1"
    assert message.headers["ce-source"] == "crm"
    assert message.headers["ce-time"].endswith("Z")
    assert message.headers["content-type"] == "application/protobuf"
    assert (message.headers["kith-key"], message.headers["kith-version"]) == (key, "7")
    assert message.headers["actor"]
    assert ContactUpdated.FromString(message.data or b"").contact.id == key


async def test_two_relays_carry_nothing_twice(broker: Broker, publish: Publish, crm: Served) -> None:
    async with Relay(broker, service="crm", dsn=crm.system), Relay(broker, service="crm", dsn=crm.system):
        await publish(*(created(ids.new()) for _ in range(300)))
        await carried(crm)
    assert len(await in_stream(broker)) == 300


async def test_another_relay_takes_over(broker: Broker, publish: Publish, crm: Served) -> None:
    async with Relay(broker, service="crm", dsn=crm.system):
        await publish(created(ids.new()))
        await carried(crm)
    async with Relay(broker, service="crm", dsn=crm.system):
        await publish(created(ids.new()))
        await carried(crm)
    assert len(await in_stream(broker)) == 2


async def test_what_was_carried_and_not_noted_is_not_doubled(broker: Broker, publish: Publish, crm: Served) -> None:
    await publish(created(ids.new()))
    async with Relay(broker, service="crm", dsn=crm.system):
        await carried(crm)
    async with await psycopg.AsyncConnection.connect(crm.admin, autocommit=True) as admin:
        await admin.execute("UPDATE outbox SET published_at = NULL")
    async with Relay(broker, service="crm", dsn=crm.system):
        await carried(crm)
    assert len(await in_stream(broker)) == 1


async def test_a_stopping_relay_carries_what_is_there(broker: Broker, publish: Publish, crm: Served) -> None:
    async with Relay(broker, service="crm", dsn=crm.system):
        await publish(created(ids.new()))
        await carried(crm)
        await publish(*(created(ids.new()) for _ in range(2000)))
    assert await has(crm, "published_at IS NULL", 0)


async def test_an_event_that_cannot_be_published_holds_up_its_key_alone(
    relay: Relay, publish: Publish, broker: Broker, crm: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(held, "PAUSE", 1.0)
    await broker.jetstream.update_stream(configuration("crm", Limits(max_message_bytes=10_000)))
    key, other = ids.new(), ids.new()
    await publish(created(key, 1, name="x" * 20_000), created(key, 2), created(other))
    await eventually(lambda: has(crm, "published_at IS NOT NULL", 1))
    assert await in_stream(broker) == [(other, 1)]
    await eventually(lambda: holding(1))
    await broker.jetstream.update_stream(configuration("crm", Limits()))
    await carried(crm)
    assert await in_stream(broker) == [(other, 1), (key, 1), (key, 2)]
    await eventually(lambda: holding(0))


def holding(keys: int) -> bool:
    return metrics.OUTBOX_HELD.collect()[0].samples[0].value == keys


@pytest.mark.parametrize("size", [1024 * 1024 - 100, 2 * 1024 * 1024])
async def test_an_event_that_nats_takes_from_nobody_slows_no_other_key(
    relay: Relay, publish: Publish, broker: Broker, crm: Served, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    monkeypatch.setattr(held, "PAUSE", 600.0)  # longer than anything is waited for here
    key = ids.new()
    await publish(created(key, 1, name="x" * size))
    await publish(*(created(key, version) for version in range(2, 1200)))
    others = [ids.new() for _ in range(40)]
    for number, other in enumerate(others, 1):
        await publish(created(other))
        await eventually(lambda number=number: has(crm, "published_at IS NOT NULL", number))  # type: ignore[misc]
    assert {each for each, _ in await in_stream(broker)} == set(others)


async def test_the_relay_survives_nats_and_its_connection(
    relay: Relay, publish: Publish, broker: Broker, crm: Served, nats_server: Nats
) -> None:
    key = ids.new()
    await publish(created(key, 1))
    await carried(crm)
    await nats_server.stop()
    await publish(created(key, 2))
    async with await psycopg.AsyncConnection.connect(crm.admin, autocommit=True) as admin:
        await admin.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'kith_crm_system'")
    await publish(created(key, 3))
    await nats_server.start()
    await carried(crm)
    assert await in_stream(broker) == [(key, 1), (key, 2), (key, 3)]
