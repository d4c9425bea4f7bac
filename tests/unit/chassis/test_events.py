"""Events reach their handlers once, in the order of their key, whatever goes down on the way."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import psycopg
import pytest
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from nats.js.api import AckPolicy, ConsumerConfig
from prometheus_client import REGISTRY

from chassis import ids
from chassis.context import Caller, CallerKind, Request, enter
from chassis.database import Database, UnitOfWork, unit_of_work
from chassis.events import Broadcast, Broker, Relay, consumers
from chassis.events import consumer as consumer_module
from chassis.events.envelope import Envelope
from chassis.events.streams import Limits, configuration, ensure_streams
from kith.crm.v1.contacts_pb2 import Contact
from kith.crm.v1.events_pb2 import ContactCreated, ContactUpdated
from kith.identity.v1.events_pb2 import SessionEnded
from tests.unit.chassis.moving import eventually
from tests.unit.chassis.servers import Nats, Served

Publish = Callable[..., Awaitable[None]]
Consuming = Callable[..., AbstractAsyncContextManager[None]]


@pytest.fixture
async def broker(nats_server: Nats) -> AsyncIterator[Broker]:
    async with Broker(nats_server.url, name="crm") as connected:
        for name in ("KITH_CRM", "KITH_IDENTITY"):
            try:
                await connected.jetstream.delete_stream(name)
            except NatsError:
                continue
        await ensure_streams(connected.jetstream, ["crm", "identity"])
        yield connected


@pytest.fixture
async def database(crm: Served) -> AsyncIterator[Database]:
    async with await psycopg.AsyncConnection.connect(crm.admin, autocommit=True) as admin:
        await admin.execute("TRUNCATE outbox, inbox")
    async with Database(crm.runtime) as opened:
        yield opened


@pytest.fixture
async def publish(database: Database) -> Publish:
    tenant = ids.new()

    async def commit(*events: Any) -> None:
        enter(Request(request_id=ids.new(), database=database, caller=Caller(kind=CallerKind.USER, tenant_id=tenant, user_id=ids.new())))
        async with unit_of_work() as work:
            for event in events:
                work.publish(event)

    return commit


@pytest.fixture
async def relay(broker: Broker, crm: Served) -> AsyncIterator[Relay]:
    async with Relay(broker, service="crm", dsn=crm.system) as running:
        yield running


@pytest.fixture
def consuming(broker: Broker, crm: Served, database: Database) -> Consuming:
    @asynccontextmanager
    async def run(handlers: dict[Any, Any], on: Broker = broker) -> AsyncIterator[None]:
        (consumer,) = consumers(on, service="crm", handlers=[handlers], database=database, dsn=crm.system)
        async with consumer:
            yield

    return run


def created(key: str, version: int = 1, name: str = "") -> ContactCreated:
    return ContactCreated(contact=Contact(id=key, etag=f'"{version}"', given_name=name))


def updated(key: str, version: int) -> ContactUpdated:
    return ContactUpdated(contact=Contact(id=key, etag=f'"{version}"'))


async def in_stream(broker: Broker) -> list[tuple[str, int]]:
    """Return key and version of everything in the stream, in its order."""
    jetstream = broker.jetstream
    subscription = await jetstream.pull_subscribe(
        "kith.crm.>", stream="KITH_CRM", config=ConsumerConfig(ack_policy=AckPolicy.NONE, inactive_threshold=5)
    )
    found: list[tuple[str, int]] = []
    total = (await jetstream.stream_info("KITH_CRM")).state.messages
    while len(found) < total:
        for message in await subscription.fetch(total - len(found), timeout=5):
            envelope = Envelope.of_headers(message.headers)
            found.append((envelope.key, envelope.version))
    return found


async def has(crm: Served, where: str, rows: int) -> bool:
    async with await psycopg.AsyncConnection.connect(crm.admin) as admin:
        row = await (await admin.execute(f"SELECT count(*) FROM outbox WHERE {where}")).fetchone()
    return row == (rows,)


async def carried(crm: Served) -> None:
    await eventually(lambda: has(crm, "published_at IS NULL", 0))


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
    relay: Relay, publish: Publish, broker: Broker, crm: Served
) -> None:
    await broker.jetstream.update_stream(configuration("crm", Limits(max_message_bytes=10_000)))
    key, other = ids.new(), ids.new()
    await publish(created(key, 1, name="x" * 20_000), created(key, 2), created(other))
    await eventually(lambda: has(crm, "published_at IS NOT NULL", 1))
    assert await in_stream(broker) == [(other, 1)]
    await broker.jetstream.update_stream(configuration("crm", Limits()))
    await carried(crm)
    assert await in_stream(broker) == [(other, 1), (key, 1), (key, 2)]


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
        await eventually(lambda: len(seen) == 4, seconds=20)
    assert seen[2:] == [(bad, '"1"'), (bad, '"2"')]


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

    async def keep(work: UnitOfWork, event: ContactCreated) -> None:
        begun.append(event.contact.id)
        await asyncio.sleep(0.2)
        ended.append(event.contact.id)

    keys = {ids.new() for _ in range(60)}
    await publish(*(created(key) for key in keys))
    await carried(crm)
    async with consuming({ContactCreated: keep}):
        await eventually(lambda: bool(begun))
    assert begun == ended
    assert len(ended) < 60
    async with consuming({ContactCreated: keep}):
        await eventually(lambda: len(ended) >= 60)
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
        await eventually(lambda: last in seen, seconds=30)
    assert seen == [first, last]


async def test_every_process_hears_of_ended_sessions(broker: Broker, nats_server: Nats) -> None:
    heard: list[str] = []
    also: list[str] = []
    tenant = ids.new()

    async def end(session: str) -> None:
        event = SessionEnded(session_id=session).SerializeToString()
        await broker.jetstream.publish(f"kith.identity.session.ended.v1.{tenant}", event)

    await end("before")
    async with (
        Broadcast(broker, SessionEnded, lambda event: heard.append(event.session_id)),
        Broadcast(broker, SessionEnded, lambda event: also.append(event.session_id)),
    ):
        await eventually(lambda: heard == also == ["before"])
        await end("now")
        await eventually(lambda: heard == also == ["before", "now"])
        await nats_server.stop()
        await nats_server.start()
        await eventually(lambda: broker.client.is_connected, seconds=30)
        await end("later")
        await eventually(lambda: "later" in heard and "later" in also, seconds=30)


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
    monkeypatch.setattr(consumer_module, "ACK_SECONDS", 0.9)
    begun: list[str] = []
    ended: list[str] = []

    async def keep(work: UnitOfWork, event: ContactCreated) -> None:
        begun.append(event.contact.id)
        await asyncio.sleep(2)
        ended.append(event.contact.id)

    async with consuming({ContactCreated: keep}):
        await publish(created(ids.new()))
        await eventually(lambda: len(ended) == 1)
        info = await broker.jetstream.consumer_info("KITH_CRM", "crm")
    assert len(begun) == 1
    assert info.num_redelivered == 0
    assert REGISTRY.get_sample_value("kith_consumer_pending", {"messaging_consumer_group_name": "crm", "stream": "KITH_CRM"}) == 1


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


def ended_session(place: int) -> Msg:
    event = SessionEnded(session_id=str(place)).SerializeToString()
    return Msg(Client(), subject="s", reply=f"$JS.ACK.KITH_IDENTITY.c.1.{place}.{place}.1795251665736017691.0", data=event)


def heartbeat(last: int) -> Msg:
    return Msg(Client(), subject="s", headers={"Status": "100", "Nats-Last-Consumer": str(last)})


async def test_a_gap_among_ended_sessions_is_noticed(broker: Broker) -> None:
    heard: list[str] = []
    broadcast = Broadcast(broker, SessionEnded, lambda event: heard.append(event.session_id))
    assert broadcast._ordered._take(ended_session(1), 0) == 1
    assert broadcast._ordered._take(heartbeat(1), 1) == 1
    for message in (ended_session(3), heartbeat(2)):
        with pytest.raises(ConnectionError):
            broadcast._ordered._take(message, 1)
    assert heard == ["1"]
