"""Nobody gets a connection that PostgreSQL closed, and none is waited for whose server fell silent."""

import asyncio
import os
import socket
from typing import Any

import psycopg
from psycopg.conninfo import make_conninfo
from sqlalchemy import text

from chassis import ids
from chassis.context import Request, enter
from chassis.database import NO_TENANT, Database, Query, unit_of_work
from chassis.database.liveness import ALIVE, DEAD_SECONDS
from chassis.jobs.worker import _Connector
from tests.unit.chassis.moving import eventually
from tests.unit.chassis.servers import Served

ONE = Query(text("SELECT 1 AS one"))
END = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'kith_crm_runtime'"
LEFT = "SELECT count(*) FROM pg_stat_activity WHERE usename = 'kith_crm_runtime'"


async def answers(database: Database) -> bool:
    enter(Request(request_id=ids.new(), database=database, origin="test"))
    async with unit_of_work(NO_TENANT) as work:
        return await work.first(ONE) == {"one": 1}


async def test_a_connection_that_the_server_closed_is_lent_to_nobody(crm: Served) -> None:
    async with Database(crm.runtime, size=3) as database, await psycopg.AsyncConnection.connect(crm.admin, autocommit=True) as admin:
        held = [await database.take() for _ in range(3)]
        for each in held:
            database.give(each)
        await admin.execute(END)
        await eventually(lambda: _nobody_is_left(admin))
        assert all([await answers(database) for _ in range(6)])


async def _nobody_is_left(admin: psycopg.AsyncConnection[tuple[int]]) -> bool:
    row = await (await admin.execute(LEFT)).fetchone()
    return row == (0,)


async def test_a_server_that_falls_silent_is_given_up_after_a_while(crm: Served) -> None:
    async with Database(make_conninfo(crm.runtime, host="127.0.0.1"), size=1) as database:
        pipeline = await database.take()
        _gives_up(pipeline.connection)
        database.give(pipeline)


async def test_jobs_give_it_up_as_soon(crm: Served) -> None:
    jobs = _Connector(make_conninfo(crm.system, host="127.0.0.1"), asyncio.Event())
    await jobs.open_async()
    async with jobs.pool.connection() as connection:
        _gives_up(connection)
    await jobs.close_async()


def _gives_up(connection: psycopg.AsyncConnection[Any]) -> None:
    with socket.socket(fileno=os.dup(connection.fileno())) as same:
        silent = same.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT)
        idle, often = (same.getsockopt(socket.IPPROTO_TCP, each) for each in (socket.TCP_KEEPIDLE, socket.TCP_KEEPCNT))
    assert (silent, idle, often) == (DEAD_SECONDS * 1000, DEAD_SECONDS, ALIVE["keepalives_count"])
