"""A stream, an outbox and whoever carries and consumes between them."""

import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import psycopg
import pytest
from nats.errors import Error as NatsError
from nats.js.errors import ServerError

from chassis import ids
from chassis.context import Caller, CallerKind, Request, enter
from chassis.database import Database, unit_of_work
from chassis.events.broker import Broker
from chassis.events.consumer import consumers
from chassis.events.relay import Relay
from chassis.events.streams import ensure_streams
from chassis.events.subject_keys import local
from chassis.sealing.keys import Memory, RootKey
from chassis.sealing.opening import Opener
from tests.unit.chassis.events.happening import Consuming, Publish
from tests.unit.chassis.moving import eventually
from tests.unit.chassis.servers import Nats, Served


@pytest.fixture
async def broker(nats_server: Nats) -> AsyncIterator[Broker]:
    async with Broker(nats_server.url, name="crm") as connected:
        for name in ("KITH_CRM", "KITH_IDENTITY"):
            try:
                await connected.jetstream.delete_stream(name)
            except NatsError:
                continue
        await eventually(lambda: made(connected))
        yield connected


async def made(broker: Broker) -> bool:
    """Make the streams; the server may still be removing the files of those before."""
    try:
        await ensure_streams(broker.jetstream, ["crm", "identity"])
    except ServerError:
        return False
    return True


@pytest.fixture
async def database(crm: Served) -> AsyncIterator[Database]:
    async with await psycopg.AsyncConnection.connect(crm.admin, autocommit=True) as admin:
        await admin.execute("TRUNCATE outbox, inbox, dead_letters, subject_keys")
    async with Database(crm.runtime, keys=Memory(RootKey(secrets.token_bytes(32)))) as opened:
        yield opened


@pytest.fixture
async def publish(database: Database) -> Publish:
    tenant = ids.new()

    async def commit(*events: Any, of: str = tenant) -> None:
        enter(Request(request_id=ids.new(), database=database, caller=Caller(kind=CallerKind.USER, tenant_id=of, user_id=ids.new())))
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
    async def run(handlers: dict[Any, Any], on: Broker = broker, opener: Callable[[], Opener] = local) -> AsyncIterator[None]:
        (consumer,) = consumers(on, service="crm", handlers=[handlers], database=database, opener=lambda _: opener(), dsn=crm.system)
        async with consumer:
            yield

    return run
