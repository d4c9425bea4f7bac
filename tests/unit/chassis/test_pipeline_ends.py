"""A connection that PostgreSQL ends is heard of at once, on the loop that services run on: nobody waits for what cannot come."""

import asyncio

import psycopg
from sqlalchemy import text

from chassis.database import Database, Query
from chassis.database.pipeline import Answers, LostError, Pipeline
from chassis.database.pool import pipeline
from tests.unit.chassis.loops import on_uvloop
from tests.unit.chassis.servers import Served

ASLEEP = "SELECT FROM pg_stat_activity WHERE pid = %s AND wait_event = 'PgSleep'"
END = "SELECT pg_terminate_backend(%s, 30000)"  # true when the process is gone
FOR_EVER = Query(text("SELECT pg_sleep(60)"))
ONE = Query(text("SELECT 1 AS one"))
SECONDS = 40.0  # shorter than the statement that is waited for


def ask(line: Pipeline, query: Query) -> asyncio.Future[Answers]:
    """Send a statement without giving the loop a turn."""
    line.prepare([query])
    line.put(query, [])
    return line.sync()


def ends_asleep(served: Served, line: Pipeline) -> list[asyncio.Future[Answers]]:
    """End the server's process once it sleeps, while this loop stands still; return what it was sent in its sleep and never read.

    Because of that its last words are followed by a reset, and both are here when the loop has its next turn.
    """
    pid = line.connection.info.backend_pid
    with psycopg.connect(served.admin, autocommit=True) as admin:
        while not admin.execute(ASLEEP, [pid]).rowcount:
            continue
        behind = [ask(line, ONE) for _ in range(20)]
        assert admin.execute(END, [pid]).fetchone() == (True,)
    return behind


async def test_the_end_behind_last_words_is_heard_at_once_by_all_who_wait(crm: Served) -> None:
    async def heard() -> None:
        async with Database(crm.runtime, size=1) as database:
            line = await database.take()
            sleeping = ask(line, FOR_EVER)
            found = await asyncio.gather(sleeping, *ends_asleep(crm, line), return_exceptions=True)
            assert {type(each) for each in found} == {LostError}
            database.give(line)
            another = await database.take()
            assert (await another.ask(ONE, {})).rows() == [{"one": 1}]
            database.give(another)

    await on_uvloop(heard, seconds=SECONDS)


async def test_what_was_answered_before_the_end_counts(crm: Served) -> None:
    async def heard() -> None:
        async with pipeline(crm.runtime) as line:
            first, sleeping = ask(line, ONE), ask(line, FOR_EVER)
            ends_asleep(crm, line)
            assert (await first).all()[0].rows() == [{"one": 1}]
            assert isinstance(*await asyncio.gather(sleeping, return_exceptions=True), LostError)

    await on_uvloop(heard, seconds=SECONDS)
