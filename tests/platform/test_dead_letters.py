"""From an event that cannot be handled to an empty list, as an operator goes that way."""

import asyncio
import json
import os
import subprocess
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import psycopg
import pytest
from nats.aio.client import Client
from psycopg.types.json import Jsonb

from chassis import ids
from chassis.events.envelope import Envelope
from kith.identity.v1.events_pb2 import MemberCreated
from kith.identity.v1.members_pb2 import Member
from stack.topology import admin
from stack.wiring import Wiring
from tests import patience, running
from tests.conftest import AdminDsn, Register
from tests.unit.chassis.moving import eventually

TYPE = "identity.member.created.v1"
Run = Callable[..., Awaitable[subprocess.CompletedProcess[str]]]


@pytest.fixture
def kith(platform: Wiring) -> Run:
    """`await kith("status")` runs the command about the session's platform."""

    async def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [running.KITH, *arguments, "--data", str(platform.layout.data)]
        environment = {**os.environ, **running.ENVIRONMENT, "COLUMNS": "200"}
        return await asyncio.to_thread(subprocess.run, command, env=environment, capture_output=True, text=True, timeout=300, check=False)

    return run


def envelope(tenant: str) -> Envelope:
    return Envelope(id=ids.new(), type=TYPE, source="identity", time="2026-11-21T12:00:00Z", tenant_id=tenant, key=ids.new(), version=1)


async def listed(kith: Run, message_id: str) -> list[dict[str, Any]]:
    shown = await kith("dead-letters", "--service", "crm", "--json")
    assert shown.returncode == 0, shown.stderr
    return [letter for letter in json.loads(shown.stdout) if letter["id"] == message_id]


async def test_what_cannot_be_read_is_seen_tried_again_and_discarded(
    kith: Run, platform: Wiring, nats_admin: Client, register: Register
) -> None:
    person = await register()
    event = envelope(person.tenant_id)
    content = b"\xffowner@example.com"
    await nats_admin.jetstream().publish(f"kith.{TYPE}.{person.tenant_id}", content, headers=event.headers())

    async def is_listed() -> bool:
        return bool(await listed(kith, event.id))

    await eventually(is_listed, seconds=180, pause=0.5)
    (letter,) = await listed(kith, event.id)
    assert (letter["service"], letter["type"], letter["reason"], letter["tries"]) == ("crm", TYPE, "DecodeError", 1)
    await eventually(lambda: counts(platform), pause=0.5)

    again = await kith("replay", "letters", event.id)
    assert again.returncode == 1
    assert "0 replayed, 1 left." in again.stdout
    assert (await listed(kith, event.id))[0]["tries"] == 2

    shown = await kith("dead-letters", "show", event.id)
    assert event.key in shown.stdout
    assert person.tenant_id in shown.stdout
    assert person.email not in shown.stdout

    assert (await kith("dead-letters", "discard", event.id, "--yes")).returncode == 0
    assert await listed(kith, event.id) == []
    assert (await kith("dead-letters", "show", event.id)).returncode == 1


async def counts(platform: Wiring) -> bool:
    async with httpx.AsyncClient(timeout=patience.SECONDS) as client:
        metrics = await client.get(f"http://{platform.address(admin('crm'))}/metrics")
    lines = [line for line in metrics.text.splitlines() if line.startswith("kith_dead_letters{")]
    return any(float(line.split()[-1]) >= 1 for line in lines)


async def test_a_mended_letter_is_replayed_and_gone(kith: Run, admin_dsn: AdminDsn, register: Register) -> None:
    event = envelope((await register()).tenant_id)
    member = MemberCreated(member=Member(id=event.key, etag='"1"', name="Came Late"))
    async with await psycopg.AsyncConnection.connect(admin_dsn("crm"), autocommit=True) as connection:
        await connection.execute(
            "INSERT INTO dead_letters (tenant_id, consumer, message_id, stream, sequence, type, key, reason, tries, first_at, last_at,"
            " headers, payload) VALUES (%s, 'crm', %s, 'KITH_IDENTITY', 1, %s, %s, 'KeyError', 10, now(), now(), %s, %s)",
            [event.tenant_id, event.id, event.type, event.key, Jsonb(event.headers()), member.SerializeToString()],
        )
        replayed = await kith("replay", "letters", event.id, "--json")
        assert (replayed.returncode, json.loads(replayed.stdout)) == (0, []), replayed.stderr
        found = await connection.execute("SELECT name FROM members WHERE tenant_id = %s AND id = %s", [event.tenant_id, event.key])
        assert await found.fetchone() == ("Came Late",)
    assert await listed(kith, event.id) == []


@pytest.mark.parametrize("arguments", [("replay", "letters"), ("dead-letters", "discard", "--yes")])
async def test_nothing_is_done_to_letters_that_nobody_named(kith: Run, arguments: tuple[str, ...]) -> None:
    refused = await kith(*arguments)
    assert refused.returncode == 1
    assert "say which" in refused.stderr


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("dead-letters", "--service", "nowhere"), "there is no service 'nowhere'"),
        (("dead-letters", "show", "nothing"), "there is no dead letter nothing"),
        (("replay", "letters", "nothing"), "there is no such dead letter"),
        (("replay", "events", "--service", "crm", "--stream", "nowhere"), "there is no service 'nowhere'"),
        (("replay", "events", "--service", "billing", "--stream", "crm"), "billing handles no events of crm"),
        (("replay", "events", "--service", "billing", "--stream", "crm", "--call-off"), "no replay is under way"),
    ],
)
async def test_what_is_not_there_is_said(kith: Run, arguments: tuple[str, ...], says: str) -> None:
    refused = await kith(*arguments)
    assert refused.returncode == 1
    assert says in refused.stderr


async def test_a_projection_is_built_again_from_the_stream(kith: Run, admin_dsn: AdminDsn, register: Register) -> None:
    person = await register()
    async with await psycopg.AsyncConnection.connect(admin_dsn("crm"), autocommit=True) as connection:

        async def is_known() -> bool:
            found = await connection.execute("SELECT FROM members WHERE id = %s", [person.user_id])
            return found.rowcount == 1

        await eventually(is_known)
        await connection.execute("DELETE FROM members WHERE id = %s", [person.user_id])
        began = (datetime.now(UTC) - timedelta(minutes=5)).strftime("%Y-%m-%dT%H:%M:%S")
        replayed = await kith("replay", "events", "--service", "crm", "--stream", "identity", "--type", TYPE, "--since", began)
        assert replayed.returncode == 0, replayed.stderr
        assert int(replayed.stdout.split()[0]) >= 1
        assert await is_known()


async def test_an_empty_list_says_so(kith: Run) -> None:
    shown = await kith("dead-letters", "--service", "billing")
    assert (shown.returncode, shown.stdout.strip()) == (0, "No dead letters.")
