"""Requests of thousands of tenants on few connections, on the loop that services run on: whatever ends some, none meets another's rows."""

import asyncio
import os
import random
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import psycopg
import pytest

from chassis import ids
from chassis.database import Database
from tests.unit.chassis import requests, servers
from tests.unit.chassis.loops import on_uvloop
from tests.unit.chassis.moving import eventually
from tests.unit.chassis.requests import Requests
from tests.unit.chassis.servers import Served

TENANTS = [ids.new() for _ in range(2000)]
SEED = 7
END_ONE = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'kith_ai_runtime' ORDER BY random() LIMIT 1
"""

GONE = {"LostError", "OperationalError", "AdminShutdown", "CrashShutdown", "CannotConnectNow"}
"""How a request ends whose connection does: the server tells who is first, those behind it hear no more."""


@pytest.fixture(scope="module")
async def server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    """A server of these tests' own: they restart it."""
    async with servers.postgres(tmp_path_factory.mktemp("interleaved") / "state") as dsn:
        yield dsn


@pytest.fixture(scope="module")
async def served(server: str) -> Served:
    return await requests.tables(server, "ai", TENANTS)


@pytest.fixture(autouse=True)
def one_shared_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chassis.database.pool.SHARED", 1)


def database(served: Served) -> Database:
    """All reads share one connection; transactions have two."""
    return Database(served.runtime, size=2, timeout=10)


async def test_thousands_of_tenants_on_one_connection_never_meet(served: Served) -> None:
    async def never_meet() -> None:
        async with database(served) as opened:
            asked = Requests(opened, TENANTS, seed=SEED)
            kinds = ((asked.read, 60), (asked.write, 25), (asked.fail, 10), (asked.say_nonsense, 5), (asked.wait, 0.2))
            await asked.ask(6000, *kinds)
            assert await asked.came_out_right(served) > 500
        assert asked.ends["NoneType"] > 3000
        failures = {"CancelledError", "InvalidTextRepresentation", "KeyError", "QueryCanceled", "GivenUpError", "DivisionByZero"}
        assert asked.ends.keys() == {"NoneType", *failures}

    await on_uvloop(never_meet)


async def test_nor_do_they_while_connections_end(served: Served) -> None:
    dice = random.Random(SEED)

    async def end_some(asked: Requests, over: asyncio.Event) -> None:
        async with await psycopg.AsyncConnection.connect(served.admin, autocommit=True) as admin:
            while not over.is_set():
                enough = asked.ends.total() + dice.randrange(40)  # answers, not seconds: a slow machine would get nowhere
                while asked.ends.total() < enough and not over.is_set():  # noqa: ASYNC110 - it is other tasks' doing
                    await asyncio.sleep(0)
                await admin.execute(END_ONE)

    async def never_meet() -> None:
        async with database(served) as opened:
            asked = Requests(opened, TENANTS, seed=SEED)
            over = asyncio.Event()
            ending = asyncio.create_task(end_some(asked, over))
            await asked.ask(3000, (asked.read, 60), (asked.write, 30), (asked.fail, 5), (asked.wait, 0.2))
            over.set()
            await ending
            assert sum(asked.ends[each] for each in GONE) > 20
            await asked.came_out_right(served)
            await _all_is_well(opened, served)

    await on_uvloop(never_meet)


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL], ids=["restart", "crash"])
async def test_nor_do_they_when_the_server_starts_again(served: Served, how: signal.Signals) -> None:
    async def never_meet() -> None:
        async with database(served) as opened:
            asked = Requests(opened, TENANTS, seed=SEED)
            postmaster = await _postmaster(served)
            asking = asyncio.create_task(asked.ask(3000, (asked.read, 60), (asked.write, 30), (asked.fail, 5)))
            await eventually(lambda: asked.ends.total() > 300, pause=0)
            os.kill(postmaster, how)
            await asking
            while not asked.ends.keys() & GONE:  # on a quick machine all was answered before the server was gone
                await asked.ask(100, (asked.read, 60), (asked.write, 30))
            await eventually(lambda: _answers(opened), pause=0.05)
            assert await asked.came_out_right(served) > 0
            await _all_is_well(opened, served)

    await on_uvloop(never_meet)


async def test_a_request_may_go_away_at_any_turn_of_the_loop(served: Served) -> None:
    async def go_away() -> None:
        async with database(served) as opened:
            asked = Requests(opened, TENANTS, seed=SEED)
            beside = asyncio.create_task(asked.ask(1000, (asked.read, 1)))
            for turns in range(150):
                writing = asyncio.create_task(asked.write(TENANTS[turns]))
                for _ in range(turns):
                    await asyncio.sleep(0)
                writing.cancel()
                await asyncio.wait([writing])
            await beside
            await asked.came_out_right(served)
            await _all_is_well(opened, served)

    await on_uvloop(go_away)


async def _all_is_well(opened: Database, served: Served) -> None:
    """Ask again now that nothing disturbs: there are as many connections as ever, and each answers."""
    asked = Requests(opened, TENANTS, seed=SEED)
    await asked.ask(300, (asked.read, 1), (asked.write, 1))
    assert asked.ends.keys() <= {"NoneType", "CancelledError", "GivenUpError", "DivisionByZero", "QueryCanceled"}
    assert await asked.came_out_right(served) > 50


async def _answers(opened: Database) -> bool:
    try:
        await opened.ping()
    except psycopg.OperationalError:
        return False
    return True


async def _postmaster(served: Served) -> int:
    async with await psycopg.AsyncConnection.connect(served.admin) as admin:
        row = await (await admin.execute("SHOW data_directory")).fetchone()
    assert row
    return int((Path(row[0]) / "postmaster.pid").read_text().split()[0])
