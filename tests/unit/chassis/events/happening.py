"""Events that tests let happen, and what became of them."""

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager

import psycopg
from nats.js.api import AckPolicy, ConsumerConfig

from chassis.events.broker import Broker
from chassis.events.envelope import Envelope
from kith.crm.v1.contacts_pb2 import Contact
from kith.crm.v1.events_pb2 import ContactCreated, ContactUpdated
from tests.unit.chassis.moving import eventually
from tests.unit.chassis.servers import Served

Publish = Callable[..., Awaitable[None]]
Consuming = Callable[..., AbstractAsyncContextManager[None]]


def created(key: str, version: int = 1, name: str = "") -> ContactCreated:
    return ContactCreated(contact=Contact(id=key, etag=f'"{version}"', given_name=name))


def updated(key: str, version: int) -> ContactUpdated:
    return ContactUpdated(contact=Contact(id=key, etag=f'"{version}"'))


async def in_stream(broker: Broker) -> list[tuple[str, int]]:
    """Return key and version of everything in the stream, in its order."""
    jetstream = broker.jetstream
    subscription = await jetstream.pull_subscribe(
        "kith.crm.>", stream="KITH_CRM", config=ConsumerConfig(ack_policy=AckPolicy.NONE, inactive_threshold=60)
    )
    found: list[tuple[str, int]] = []
    total = (await jetstream.stream_info("KITH_CRM")).state.messages
    while len(found) < total:
        for message in await subscription.fetch(total - len(found), timeout=60):
            envelope = Envelope.of_headers(message.headers)
            found.append((envelope.key, envelope.version))
    return found


async def has(crm: Served, where: str, rows: int) -> bool:
    async with await psycopg.AsyncConnection.connect(crm.admin) as admin:
        row = await (await admin.execute(f"SELECT count(*) FROM outbox WHERE {where}")).fetchone()
    return row == (rows,)


async def carried(crm: Served) -> None:
    await eventually(lambda: has(crm, "published_at IS NULL", 0))
