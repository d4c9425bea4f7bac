"""Handlers get events with their personal fields, wait for the keys to them, and get them without once they are erased."""

from collections.abc import Mapping

import psycopg

from chassis import ids
from chassis.database import UnitOfWork, unit_of_work
from chassis.errors import Reason, Unavailable
from chassis.events.broker import Broker
from chassis.events.relay import Relay
from chassis.events.subject_keys import local
from chassis.sealing.opening import Opener, Records
from kith.crm.v1.events_pb2 import ContactCreated
from tests.unit.chassis.events.happening import Consuming, Publish, carried, created
from tests.unit.chassis.moving import eventually
from tests.unit.chassis.servers import Served


class Seen:
    """A handler that keeps the names that it sees."""

    def __init__(self) -> None:
        self.names: list[str] = []

    async def __call__(self, work: UnitOfWork, event: ContactCreated) -> None:
        assert not event.sealed
        self.names.append(event.contact.given_name)


async def letters(crm: Served) -> list[str]:
    async with await psycopg.AsyncConnection.connect(crm.admin) as admin:
        return [row[0] for row in await (await admin.execute("SELECT reason FROM dead_letters")).fetchall()]


async def test_a_handler_gets_what_is_personal_once_the_keys_can_be_asked_for(
    relay: Relay, publish: Publish, consuming: Consuming, crm: Served
) -> None:
    seen, asked = Seen(), 0

    def opener() -> Opener:
        async def ask(records: Records) -> Mapping[tuple[str, str], bytes]:
            nonlocal asked
            asked += 1
            if asked <= 2:
                raise Unavailable(Reason.UNAVAILABLE, "away")
            return await local()._ask(records)

        return Opener(ask)

    async with consuming({ContactCreated: seen}, opener=opener):
        await publish(created(ids.new(), name="Ann"))
        await eventually(lambda: seen.names == ["Ann"])
    assert asked == 3
    assert await letters(crm) == []


async def test_a_handler_gets_what_was_erased_without_it(relay: Relay, publish: Publish, consuming: Consuming, crm: Served) -> None:
    seen, key, other = Seen(), ids.new(), ids.new()
    await publish(created(key, name="Ann"), created(other, name="Bob"))
    async with unit_of_work() as work:
        await work.forget(key)
    await carried(crm)
    async with consuming({ContactCreated: seen}):
        await eventually(lambda: sorted(seen.names) == ["", "Bob"])


async def test_an_event_that_was_changed_on_its_way_is_a_dead_letter_at_once(
    publish: Publish, consuming: Consuming, crm: Served, broker: Broker
) -> None:
    seen = Seen()
    await publish(created(ids.new(), name="Ann"))
    async with await psycopg.AsyncConnection.connect(crm.admin, autocommit=True) as admin:
        last = "octet_length(payload) - 1"
        await admin.execute(f"UPDATE outbox SET payload = set_byte(payload, {last}, get_byte(payload, {last}) # 1)")

    async def buried() -> bool:
        return await letters(crm) == ["VaultError"]

    async with Relay(broker, service="crm", dsn=crm.system), consuming({ContactCreated: seen}):
        await eventually(buried)
    assert seen.names == []
