"""What was acknowledged, beside what is there and what was delivered."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any, Final, LiteralString

import psycopg
from nats.aio.client import Client
from nats.js.api import AckPolicy, ConsumerConfig

from chassis import names
from chassis.events.envelope import Envelope
from stack.operator_client import connect
from stack.topology import OPERATOR
from tests.chaos.load import Writer
from tests.chaos.shaken import Shaken
from tests.unit.chassis.moving import eventually

SECONDS: Final = 180
PAUSE: Final = 0.5
FETCH_SECONDS: Final = 60
HANDLED: Final = ("identity.tenant.created.v1", "identity.member.created.v1")

WAITING: Final = "SELECT count(*) FROM outbox WHERE published_at IS NULL"
AUDITED: Final = "SELECT resource_id, version FROM audit_log WHERE tenant_id = ANY(%s) AND action LIKE 'crm.contact.%%'"
HEARD: Final = "SELECT message_id FROM inbox WHERE consumer = 'crm'"
PROJECTED: Final = "SELECT tenant_id::text FROM tenants"


async def nothing_is_lost_or_doubled(platform: Shaken, writers: Sequence[Writer]) -> None:
    """Compare answers with records, audit trail, streams and the consumer's effects, once everything is quiet."""
    await platform.settled()
    async with await connect(platform.wiring.nats_url(OPERATOR)) as nats:
        await eventually(lambda: _quiet(platform, nats), seconds=SECONDS, pause=PAUSE)
        contacts, accounts = await _delivered(nats, "crm"), await _delivered(nats, "identity")
    for writer in writers:
        assert await writer.listed() == writer.expected()
    versions = {contact.id: list(range(1, contact.version + 1)) for writer in writers for contact in writer.contacts}
    _is_told_once(contacts)
    _is_told_once(accounts)
    tenants = {writer.tenant_id for writer in writers}
    assert _by_key(event for event in contacts if event.tenant_id in tenants) == versions
    assert _audited(await _rows(platform, "crm", AUDITED, [list(tenants)])) == versions
    heard = [row[0] for row in await _rows(platform, "crm", HEARD)]
    assert sorted(heard) == sorted(event.id for event in accounts if event.type in HANDLED)
    assert tenants <= {row[0] for row in await _rows(platform, "crm", PROJECTED)}


async def _quiet(platform: Shaken, nats: Client) -> bool:
    """Say whether all events were carried and handled."""
    waiting = [(await _rows(platform, service, WAITING))[0][0] for service in ("crm", "identity")]
    consumer = await nats.jetstream().consumer_info(names.stream("identity"), "crm")
    return not any([*waiting, consumer.num_pending, consumer.num_ack_pending])


async def _delivered(nats: Client, service: str) -> list[Envelope]:
    """Return everything in a service's stream, in its order."""
    jetstream, stream = nats.jetstream(), names.stream(service)
    total = (await jetstream.stream_info(stream)).state.messages
    reading = ConsumerConfig(ack_policy=AckPolicy.NONE, inactive_threshold=FETCH_SECONDS)
    subscription = await jetstream.pull_subscribe(names.subjects(service), stream=stream, config=reading)
    found: list[Envelope] = []
    while len(found) < total:
        found += [Envelope.of_headers(each.headers) for each in await subscription.fetch(min(256, total - len(found)), FETCH_SECONDS)]
    return found


def _is_told_once(events: Sequence[Envelope]) -> None:
    assert len({event.id for event in events}) == len(events)


def _by_key(events: Iterable[Envelope]) -> dict[str, list[int]]:
    found: dict[str, list[int]] = defaultdict(list)
    for event in events:
        if event.type.startswith("crm.contact."):
            found[event.key].append(event.version)
    return found


def _audited(rows: Sequence[tuple[Any, ...]]) -> dict[str, list[int]]:
    found: dict[str, list[int]] = defaultdict(list)
    for key, version in sorted(rows):
        found[key].append(version)
    return found


async def _rows(platform: Shaken, service: str, query: LiteralString, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
    async with await psycopg.AsyncConnection.connect(platform.database(service)) as connection:
        return await (await connection.execute(query, values)).fetchall()
