"""Values planted in personal fields are found nowhere but in the records: in no span, log, metric, error answer, audit row or event.

The same platform shows that a trace leads through NATS to the consumer.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import httpx
import psycopg
import pytest
from nats.js.api import AckPolicy, ConsumerConfig

from chassis import names
from stack.operator_client import connect
from stack.topology import EDGE, OPERATOR, SERVICES, admin
from tests import patience, running
from tests.chaos.shaken import Shaken
from tests.platform.collector import Collector, Spans
from tests.unit.chassis.moving import eventually

TRACE: Final = "4bf92f3577b34da6a3ce929d0e0e4736"
CLIENT_SPAN: Final = "00f067aa0ba902b7"
HEARD: Final = "process kith.identity.tenant.created.v1"

WORD: Final = "quetzalcanary"  # in every planted value, so that a part of one is found too
DIGITS: Final = "7911123987"
EMAIL: Final = f"{WORD}@example.com"
PASSWORD: Final = "Zk7-Vermilion-8Lq-Otter"
REGISTRATION: Final = {"organisation": "Plain", "email": EMAIL, "password": PASSWORD, "name": f"Owner {WORD}", "region": "GB"}
CONTACT: Final = {
    "givenName": WORD,
    "familyName": WORD.upper(),
    "emails": [{"address": EMAIL}],
    "phones": [{"number": f"+44{DIGITS}"}],
}
BAD_CONTACTS: Final[Sequence[dict[str, Any]]] = (
    {"givenName": WORD * 500},
    {"givenName": f"{WORD}\x00"},
    {"givenName": {WORD: WORD}},
    {"emails": [{"address": f"{WORD} at nowhere"}]},
    {"phones": [{"number": f"+{DIGITS}{WORD}"}]},
)
LOCK_SECONDS: Final = 7.0
"""Longer than a service waits for a lock."""


class Planted:
    """A client of the edge that keeps every refusal."""

    def __init__(self, edge: httpx.AsyncClient) -> None:
        self._edge = edge
        self.refusals: list[str] = []

    async def call(self, verb: str, path: str, **options: Any) -> httpx.Response:
        answer = await self._edge.request(verb, path, **options)
        if not answer.is_success:
            self.refusals.append(f"{answer.status_code} {answer.headers} {answer.text}")
        return answer


@pytest.fixture
def watched(tmp_path: Path, collector: Collector) -> Iterator[Shaken]:
    """A platform of this test's own, all of whose processes send all their spans."""
    platform = Shaken(tmp_path)
    platform.up(**running.PATIENT, OTEL_EXPORTER_OTLP_ENDPOINT=f"http://127.0.0.1:{collector.server_port}", KITH_TRACE_RATIO="1")
    yield platform
    platform.down()


@pytest.fixture
async def planted(watched: Shaken) -> AsyncIterator[Planted]:
    async with patience.client(f"http://{watched.wiring.address(EDGE.name)}") as edge:
        yield Planted(edge)


async def test_planted_values_stay_in_the_records(watched: Shaken, planted: Planted, collector: Collector) -> None:
    await _plant(watched, planted)
    metrics = [await _metrics(watched, service.name) for service in (EDGE, *SERVICES)]
    trail = [row for service in SERVICES for row in await _audit(watched, service.name)]
    events = [each for service in ("identity", "crm") for each in await _events(watched, service)]
    outboxes = [row for service in ("identity", "crm") for row in await _outbox(watched, service)]
    logs = watched.wiring.layout.logs
    await asyncio.to_thread(watched.down)

    assert all((planted.refusals, trail, events, outboxes))
    assert _leaks(planted.refusals) == []
    assert _leaks(metrics) == []
    assert _leaks(trail) == []
    assert _leaks(events) == []
    assert _leaks(outboxes) == []
    assert _leaks(line for log in sorted(logs.iterdir()) for line in log.read_text(errors="replace").splitlines()) == []
    assert _leaks(body.decode("utf-8", "replace") for body in collector.taken) == []
    assert _from_consumer_to_client(collector.spans(TRACE)) == [
        ("crm", HEARD),
        ("identity", "kith.identity.v1.AuthService/Register"),
        ("edge", "kith.identity.v1.AuthService/Register"),
        ("edge", "POST /v1/auth:register"),
    ]


async def _plant(watched: Shaken, planted: Planted) -> None:
    traced = {"traceparent": f"00-{TRACE}-{CLIENT_SPAN}-01"}
    session = (await planted.call("POST", "/v1/auth:register", json=REGISTRATION, headers=traced)).json()
    await planted.call("POST", "/v1/auth:register", json=REGISTRATION)
    await planted.call("POST", "/v1/auth:register", json={**REGISTRATION, "email": f"{WORD} at nowhere", "password": PASSWORD[:4]})
    await planted.call("POST", "/v1/auth:signIn", json={"email": EMAIL, "password": f"{PASSWORD}-wrong"})
    await planted.call("POST", "/v1/auth:signIn", content=f'{{"email": "{EMAIL}", "password": "{PASSWORD}"')
    token = {"authorization": f"Bearer {session['accessToken']}"}
    made = (await planted.call("POST", "/v1/contacts", json=CONTACT, headers=token)).json()
    await planted.call("PATCH", f"/v1/contacts/{made['id']}", json={"givenName": f"{WORD} again"}, headers=token)
    for body in BAD_CONTACTS:
        await planted.call("POST", "/v1/contacts", json=body, headers=token)
    for wanted in (f'email = "{EMAIL}"', f'email = "{EMAIL}', f"phone = +44{DIGITS}"):
        await planted.call("GET", "/v1/contacts", params={"filter": wanted}, headers=token)
    await _while_locked(watched, planted, token)
    await eventually(lambda: _heard(watched), pause=0.5)


async def _while_locked(watched: Shaken, planted: Planted, token: dict[str, str]) -> None:
    """Have a call and an event's handler fail in the database."""
    async with await psycopg.AsyncConnection.connect(watched.database("crm")) as connection:
        await connection.execute("LOCK TABLE contacts, tenants, members IN ACCESS EXCLUSIVE MODE")
        await planted.call("POST", "/v1/auth:register", json={**REGISTRATION, "email": f"second-{EMAIL}"})
        failed = planted.call("POST", "/v1/contacts", json=CONTACT, headers=token)
        answer, _ = await asyncio.gather(failed, asyncio.sleep(LOCK_SECONDS))
        assert answer.status_code == httpx.codes.CONFLICT


async def _heard(watched: Shaken) -> bool:
    """Say whether crm knows both organisations."""
    async with await psycopg.AsyncConnection.connect(watched.database("crm")) as connection:
        return (await (await connection.execute("SELECT count(*) FROM tenants")).fetchone()) == (2,)


async def _metrics(watched: Shaken, name: str) -> str:
    async with httpx.AsyncClient(timeout=patience.SECONDS) as client:
        return (await client.get(f"http://{watched.wiring.address(admin(name))}/metrics")).text


async def _audit(watched: Shaken, service: str) -> list[str]:
    async with await psycopg.AsyncConnection.connect(watched.database(service)) as connection:
        return [row[0] for row in await (await connection.execute("SELECT audit_log::text FROM audit_log")).fetchall()]


async def _outbox(watched: Shaken, service: str) -> list[str]:
    async with await psycopg.AsyncConnection.connect(watched.database(service)) as connection:
        rows = await (await connection.execute("SELECT headers::text, payload FROM outbox")).fetchall()
    return [f"{headers} {payload.decode('utf-8', 'replace')}" for headers, payload in rows]


async def _events(watched: Shaken, service: str) -> list[str]:
    """Return the events of a stream with their subjects and headers."""
    async with await connect(watched.wiring.nats_url(OPERATOR)) as nats:
        jetstream = nats.jetstream()
        count = (await jetstream.stream_info(names.stream(service))).state.messages
        reading = ConsumerConfig(ack_policy=AckPolicy.NONE, inactive_threshold=patience.SECONDS)
        subscription = await jetstream.pull_subscribe(names.subjects(service), stream=names.stream(service), config=reading)
        messages = await subscription.fetch(count, patience.SECONDS)
        return [f"{each.subject} {each.headers} {each.data.decode('utf-8', 'replace')}" for each in messages]


def _leaks(texts: Iterator[str] | Sequence[str]) -> list[str]:
    return [text for text in texts if any(value in text.lower() for value in (WORD, DIGITS, PASSWORD.lower()))]


def _from_consumer_to_client(spans: Spans) -> list[tuple[str, str]]:
    """Return service and name of each span from the consumer's up to the client's own."""
    here = next(key for key, (_, name, _, _) in spans.items() if name == HEARD)
    found = []
    while here != CLIENT_SPAN:
        service, name, parent, _ = spans[here]
        found.append((service, name))
        here = parent
    return found
