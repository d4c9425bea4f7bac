"""What is kept for a while only is forgotten by the clock, and nothing sooner."""

import secrets

import pytest

from chassis import ids
from chassis.context import Request, enter
from chassis.database import Database
from services.identity.attempts.jobs import purge_attempts
from services.identity.sessions.jobs import purge_sessions


@pytest.fixture
async def in_a_job(dsn):
    async with Database(dsn("identity", "runtime")) as database:
        enter(Request(request_id=ids.new(), database=database))
        yield


@pytest.mark.usefixtures("in_a_job")
async def test_counts_are_forgotten_after_a_day(rows):
    old, young = f"address:{secrets.token_hex(8)}", f"address:{secrets.token_hex(8)}"
    insert = "INSERT INTO attempts (key, failures, last_time) VALUES (%s, 9, now() - %s::interval)"
    await rows(insert, old, "25 hours")
    await rows(insert, young, "23 hours")
    await purge_attempts()
    assert [row["key"] for row in await rows("SELECT key FROM attempts WHERE key = ANY(%s)", [old, young])] == [young]


@pytest.mark.usefixtures("in_a_job")
async def test_sessions_are_deleted_ninety_days_after_their_end(owner, new_owner, rows):
    other = await new_owner()
    update = "UPDATE sessions SET expire_time = now() - %s::interval WHERE user_id = %s"
    await rows(update, "91 days", owner.user_id)
    await rows(update, "89 days", other.user_id)
    await purge_sessions()
    kept = await rows("SELECT user_id::text FROM sessions WHERE user_id = ANY(%s::uuid[])", [owner.user_id, other.user_id])
    assert [row["user_id"] for row in kept] == [other.user_id]
