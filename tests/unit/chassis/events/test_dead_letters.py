"""What cannot be handled becomes a dead letter, and an outage makes none; a letter handed in again has its effect once."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import psycopg
import pytest
from nats.js.errors import NotFoundError
from prometheus_client import REGISTRY
from sqlalchemy import text

from chassis import ids
from chassis.database import Query, UnitOfWork
from chassis.database.pipeline import Pipeline
from chassis.database.pool import pipeline
from chassis.errors import NotFound, Reason, Unavailable
from chassis.events import intake, mending, replaying
from chassis.events.broker import Broker
from chassis.events.envelope import Envelope
from chassis.events.mending import Choice, Seen
from chassis.events.relay import Relay
from kith.crm.v1.events_pb2 import ContactCreated, ContactUpdated
from tests.unit.chassis.events.happening import Consuming, Publish, carried, created, updated
from tests.unit.chassis.moving import eventually
from tests.unit.chassis.servers import Served

TRIES = 2
Look = Callable[[], Awaitable[list[Seen]]]


class Desk:
    """A handler that a test breaks and mends."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error
        self.tries = 0
        self.seen: list[tuple[str, str]] = []

    async def keep(self, work: UnitOfWork, event: ContactCreated) -> None:
        self.tries += 1
        if self.error:
            raise self.error
        self.seen.append((event.contact.id, event.contact.etag))


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intake, "TRIES", TRIES)
    monkeypatch.setattr(replaying, "POLL", 0.05)
    monkeypatch.setattr(replaying, "PAUSE", 0.1)


@pytest.fixture
async def operator(crm: Served) -> AsyncIterator[Pipeline]:
    async with pipeline(crm.system) as connection:
        yield connection


@pytest.fixture
def look(operator: Pipeline) -> Look:
    return lambda: mending.look(operator, Choice())


async def there_are(look: Look, number: int) -> bool:
    return len(await look()) == number


def counted() -> float | None:
    return REGISTRY.get_sample_value("kith_dead_letters", {"messaging_consumer_group_name": "crm", "stream": "KITH_CRM"})


async def bury_one(desk: Desk, publish: Publish, consuming: Consuming, look: Look) -> str:
    """Return the key of an event that is a dead letter now."""
    key = ids.new()
    await publish(created(key))
    async with consuming({ContactCreated: desk.keep}):
        await eventually(lambda: there_are(look, 1))
    return key


async def test_what_fails_again_and_again_is_buried_and_its_key_goes_on(
    relay: Relay, publish: Publish, consuming: Consuming, look: Look, broker: Broker
) -> None:
    desk, goes_on = Desk(ValueError("first@example.com")), Desk()
    key = ids.new()
    await publish(created(key, name="First"), updated(key, 2))
    async with consuming({ContactCreated: desk.keep, ContactUpdated: goes_on.keep}):
        await eventually(lambda: goes_on.seen == [(key, '"2"')])
        await eventually(lambda: counted() == 1)
        (letter,) = await look()
        await eventually(lambda: settled(broker))
    assert desk.tries == TRIES
    assert (letter.consumer, letter.stream, letter.sequence, letter.type) == ("crm", "KITH_CRM", 1, "crm.contact.created.v1")
    assert (letter.key, letter.reason, letter.tries, letter.replay_at) == (key, "ValueError", TRIES, None)
    assert letter.first_at < letter.last_at
    assert counted() is None


async def settled(broker: Broker) -> bool:
    info = await broker.jetstream.consumer_info("KITH_CRM", "crm")
    return info.num_pending == info.num_ack_pending == 0


async def test_a_letter_holds_the_event_as_it_came(
    relay: Relay, publish: Publish, consuming: Consuming, look: Look, broker: Broker, operator: Pipeline
) -> None:
    await bury_one(Desk(KeyError()), publish, consuming, look)
    message = await broker.jetstream.get_msg("KITH_CRM", 1)
    held = await operator.ask(Query(text("SELECT headers, payload FROM dead_letters")), {})
    assert held.rows() == [{"headers": message.headers, "payload": message.data}]


async def test_what_cannot_be_read_is_buried_at_once(publish: Publish, consuming: Consuming, look: Look, broker: Broker) -> None:
    tenant, key = ids.new(), ids.new()
    envelope = Envelope(id="m", type="crm.contact.created.v1", source="crm", time="", tenant_id=tenant, key=key, version=1)
    await broker.jetstream.publish(f"kith.crm.contact.created.v1.{tenant}", b"\xff", headers=envelope.headers())
    async with consuming({ContactCreated: Desk().keep}):
        await eventually(lambda: there_are(look, 1))
        await eventually(lambda: settled(broker))
    (letter,) = await look()
    assert (letter.id, letter.reason, letter.tries) == ("m", "DecodeError", 1)


async def test_what_is_away_for_long_buries_nothing(
    relay: Relay, publish: Publish, consuming: Consuming, look: Look, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(intake, "TRIES", 1)
    desk = Desk(Unavailable(Reason.UNAVAILABLE, "identity does not answer"))
    await publish(created(ids.new()))
    async with consuming({ContactCreated: desk.keep}):
        await eventually(lambda: desk.tries >= 3)
        desk.error = None
        await eventually(lambda: len(desk.seen) == 1)
    assert await look() == []


@asynccontextmanager
async def shut(crm: Served) -> AsyncIterator[None]:
    """Keep the service out of its database."""
    role = "kith_crm_runtime"
    async with await psycopg.AsyncConnection.connect(crm.admin, autocommit=True) as admin:
        await admin.execute(f"ALTER ROLE {role} NOLOGIN")
        await admin.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = %s", [role])
        try:
            yield
        finally:
            await admin.execute(f"ALTER ROLE {role} LOGIN")


async def test_a_database_that_is_away_makes_no_letter(
    relay: Relay, publish: Publish, consuming: Consuming, look: Look, broker: Broker, crm: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(intake, "TRIES", 1)
    desk = Desk()
    keys = [ids.new() for _ in range(3)]
    await publish(*(created(key) for key in keys))
    await carried(crm)
    async with shut(crm), consuming({ContactCreated: desk.keep}):
        await eventually(lambda: redelivered(broker, len(keys)))
    async with consuming({ContactCreated: desk.keep}):
        await eventually(lambda: len(desk.seen) == len(keys))
    assert {key for key, _ in desk.seen} == set(keys)
    assert await look() == []


async def redelivered(broker: Broker, number: int) -> bool:
    try:
        info = await broker.jetstream.consumer_info("KITH_CRM", "crm")
    except NotFoundError:
        return False
    return (info.num_redelivered or 0) >= number


async def test_a_letter_that_cannot_be_kept_is_not_lost(
    relay: Relay, publish: Publish, consuming: Consuming, look: Look, crm: Served
) -> None:
    desk = Desk(ValueError())
    await publish(created(ids.new()))
    async with await psycopg.AsyncConnection.connect(crm.admin, autocommit=True) as admin:
        await admin.execute("REVOKE INSERT ON dead_letters FROM kith_crm_runtime")
        try:
            async with consuming({ContactCreated: desk.keep}):
                await eventually(lambda: desk.tries > TRIES)
                assert await look() == []
                await admin.execute("GRANT INSERT ON dead_letters TO kith_crm_runtime")
                await eventually(lambda: there_are(look, 1))
        finally:
            await admin.execute("GRANT INSERT ON dead_letters TO kith_crm_runtime")


async def test_a_mended_letter_has_its_effect_once_and_goes(
    relay: Relay, publish: Publish, consuming: Consuming, look: Look, operator: Pipeline, broker: Broker
) -> None:
    key = await bury_one(Desk(ValueError()), publish, consuming, look)
    desk = Desk()
    async with consuming({ContactCreated: desk.keep}):
        await eventually(lambda: counted() == 1)
        assert len(await mending.mark(operator, Choice(type="crm.contact.created.v1"))) == 1
        await eventually(lambda: there_are(look, 0))
        await eventually(lambda: counted() == 0)
    await broker.jetstream.delete_consumer("KITH_CRM", "crm")  # everything comes again, and the inbox knows it
    last = ids.new()
    async with consuming({ContactCreated: desk.keep}):
        await publish(created(last))
        await eventually(lambda: desk.seen[-1] == (last, '"1"'))
    assert desk.seen == [(key, '"1"'), (last, '"1"')]


async def test_a_letter_that_had_its_effect_before_a_kill_has_no_second_one(
    relay: Relay, publish: Publish, consuming: Consuming, look: Look, operator: Pipeline, crm: Served
) -> None:
    await bury_one(Desk(ValueError()), publish, consuming, look)
    async with await psycopg.AsyncConnection.connect(crm.admin, autocommit=True) as admin:
        await admin.execute("INSERT INTO inbox (consumer, message_id) SELECT consumer, message_id FROM dead_letters")
    desk = Desk()
    await mending.mark(operator, Choice())
    async with consuming({ContactCreated: desk.keep}):
        await eventually(lambda: there_are(look, 0))
    assert desk.tries == 0


async def test_a_letter_that_fails_again_stays_with_the_new_reason(
    relay: Relay, publish: Publish, consuming: Consuming, look: Look, operator: Pipeline
) -> None:
    await bury_one(Desk(ValueError()), publish, consuming, look)
    (before,) = await mending.mark(operator, Choice())
    assert before.replay_at is not None
    desk = Desk(NotFound(Reason.NOT_FOUND, "no such record"))
    async with consuming({ContactCreated: desk.keep}):
        await eventually(lambda: is_unmarked(look))
        await asyncio.sleep(0.3)
    (after,) = await look()
    assert desk.tries == 1
    assert (after.reason, after.tries, after.first_at) == ("NotFound NOT_FOUND", TRIES + 1, before.first_at)
    assert after.last_at > before.last_at


async def is_unmarked(look: Look) -> bool:
    return all(letter.replay_at is None for letter in await look())


async def test_a_letter_waits_for_what_is_away(
    relay: Relay, publish: Publish, consuming: Consuming, look: Look, operator: Pipeline
) -> None:
    await bury_one(Desk(ValueError()), publish, consuming, look)
    await mending.mark(operator, Choice())
    desk = Desk(ConnectionRefusedError())
    async with consuming({ContactCreated: desk.keep}):
        await eventually(lambda: desk.tries >= 3)
        (waiting,) = await look()
        desk.error = None
        await eventually(lambda: there_are(look, 0))
    assert (waiting.reason, waiting.tries) == ("ValueError", TRIES)
    assert len(desk.seen) == 1


async def test_a_letter_that_nobody_handles_any_more_says_so(
    relay: Relay, publish: Publish, consuming: Consuming, look: Look, operator: Pipeline
) -> None:
    await bury_one(Desk(ValueError()), publish, consuming, look)
    await mending.mark(operator, Choice())
    async with consuming({ContactUpdated: Desk().keep}):
        await eventually(lambda: is_unmarked(look))
    assert [letter.reason for letter in await look()] == ["nobody handles it"]
    assert len(await mending.discard(operator, Choice(ids=[(await look())[0].id]))) == 1
    assert await look() == []


async def test_a_letter_and_a_live_event_of_its_key_take_turns(
    relay: Relay, publish: Publish, consuming: Consuming, look: Look, operator: Pipeline
) -> None:
    key = await bury_one(Desk(ValueError()), publish, consuming, look)
    busy = False
    seen: list[str] = []

    async def keep(work: UnitOfWork, event: Any) -> None:
        nonlocal busy
        assert not busy
        busy = True
        await asyncio.sleep(0.2)
        busy = False
        seen.append(event.contact.etag)

    await publish(*(updated(key, version) for version in range(2, 6)))
    await mending.mark(operator, Choice())
    async with consuming({ContactCreated: keep, ContactUpdated: keep}):
        await eventually(lambda: len(seen) == 5)
    assert sorted(seen) == [f'"{version}"' for version in range(1, 6)]
    assert await look() == []


async def test_letters_of_a_key_are_handed_in_in_their_order(
    relay: Relay, publish: Publish, consuming: Consuming, look: Look, operator: Pipeline
) -> None:
    key = ids.new()
    await publish(created(key, 1), created(key, 2))
    async with consuming({ContactCreated: Desk(ValueError()).keep}):
        await eventually(lambda: there_are(look, 2), seconds=120)
    await mending.mark(operator, Choice(consumer="crm"))
    desk = Desk()
    async with consuming({ContactCreated: desk.keep}):
        await eventually(lambda: there_are(look, 0))
    assert desk.seen == [(key, '"1"'), (key, '"2"')]


async def test_a_choice_takes_what_all_of_it_names(
    relay: Relay, publish: Publish, consuming: Consuming, look: Look, operator: Pipeline
) -> None:
    await bury_one(Desk(ValueError()), publish, consuming, look)
    (letter,) = await look()
    for choice in (Choice(ids=["m"]), Choice(type="crm.else.v1"), Choice(consumer="billing"), Choice(ids=[letter.id], type="crm.else.v1")):
        assert await mending.look(operator, choice) == []
        assert await mending.mark(operator, choice) == []
        assert await mending.discard(operator, choice) == []
    assert await mending.look(operator, Choice(ids=[letter.id], type=letter.type, consumer="crm")) == [letter]
