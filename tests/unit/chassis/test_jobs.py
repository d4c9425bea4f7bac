"""Jobs run by the clock in one process at a time, and the chassis forgets what it need not keep."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import psycopg
import pytest
from prometheus_client import REGISTRY
from psycopg.errors import InsufficientPrivilege

from chassis import ids
from chassis.context import current
from chassis.database import Database, audit_tables, dead_letters, subject_keys, system_tables
from chassis.jobs import Job, Jobs
from chassis.jobs import worker as worker_module
from chassis.jobs.purge import Purge
from tests.unit.chassis import servers
from tests.unit.chassis.moving import eventually
from tests.unit.chassis.servers import Served

EACH_SECOND = "* * * * * *"


@pytest.fixture
async def database(crm: Served) -> AsyncIterator[Database]:
    async with Database(crm.runtime) as opened:
        yield opened


@pytest.fixture
async def admin(crm: Served) -> AsyncIterator[psycopg.AsyncConnection[Any]]:
    async with await psycopg.AsyncConnection.connect(crm.admin, autocommit=True) as connection:
        await connection.execute("TRUNCATE procrastinate_jobs, procrastinate_periodic_defers, procrastinate_workers CASCADE")
        await connection.execute("TRUNCATE outbox, inbox, idempotency")
        yield connection


async def value(admin: psycopg.AsyncConnection[Any], query: Any) -> Any:
    row = await (await admin.execute(query)).fetchone()
    return row[0] if row else None


async def has_workers(admin: psycopg.AsyncConnection[Any]) -> bool:
    return bool(await value(admin, "SELECT count(*) FROM procrastinate_workers"))


async def test_a_job_runs_by_the_clock_in_one_process(crm: Served, database: Database, admin: psycopg.AsyncConnection[Any]) -> None:
    runs: list[str] = []

    async def count_things() -> None:
        assert current().caller.service == "crm"
        assert current().operation == "count_things"
        runs.append(current().request_id)

    job = Job(count_things, EACH_SECOND)
    started = asyncio.get_running_loop().time()
    async with (
        Jobs([job], service="crm", database=database, dsn=crm.system),
        Jobs([job], service="crm", database=database, dsn=crm.system),
    ):
        await eventually(lambda: len(runs) >= 3)
        seconds = asyncio.get_running_loop().time() - started
    assert len(runs) <= seconds + 2
    assert REGISTRY.get_sample_value("kith_job_last_success_timestamp_seconds", {"job": "count_things"})


async def test_a_job_that_fails_is_tried_again(crm: Served, database: Database, admin: psycopg.AsyncConnection[Any]) -> None:
    tries = 0

    async def break_once() -> None:
        nonlocal tries
        tries += 1
        if tries == 1:
            raise ValueError("not now")

    async with Jobs([Job(break_once, EACH_SECOND)], service="crm", database=database, dsn=crm.system):
        await eventually(lambda: tries >= 2)


async def test_a_draining_worker_lets_a_job_end(crm: Served, database: Database, admin: psycopg.AsyncConnection[Any]) -> None:
    begun = asyncio.Event()
    ended: list[bool] = []

    async def take_long() -> None:
        begun.set()
        await asyncio.sleep(0.5)
        ended.append(True)

    async with Jobs([Job(take_long, EACH_SECOND)], service="crm", database=database, dsn=crm.system):
        await begun.wait()
    assert ended


async def test_a_job_that_takes_too_long_is_stopped_and_comes_again(
    crm: Served, database: Database, admin: psycopg.AsyncConnection[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker_module, "DRAIN_SECONDS", 0.1)
    begun = asyncio.Event()

    async def hang() -> None:
        begun.set()
        await asyncio.sleep(60)

    async with Jobs([Job(hang, EACH_SECOND)], service="crm", database=database, dsn=crm.system):
        await begun.wait()
    assert await value(admin, "SELECT status FROM procrastinate_jobs WHERE task_name = 'hang' ORDER BY id LIMIT 1") == "todo"


async def test_a_worker_ends_although_the_database_is_gone(
    crm: Served, database: Database, admin: psycopg.AsyncConnection[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker_module, "CONNECTION_SECONDS", 0.2)
    monkeypatch.setattr(worker_module, "PATIENCE", 600.0)
    jobs = Jobs([], service="crm", database=database, dsn=crm.system)
    await jobs.__aenter__()
    await eventually(lambda: has_workers(admin))
    await admin.execute("ALTER ROLE kith_crm_system NOLOGIN")
    try:
        await admin.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'kith_crm_system'")
        async with asyncio.timeout(60):  # much less than one statement alone would have used up
            await jobs.__aexit__()
    finally:
        await admin.execute("ALTER ROLE kith_crm_system LOGIN")


async def test_the_worker_survives_the_loss_of_its_connections(
    crm: Served, database: Database, admin: psycopg.AsyncConnection[Any]
) -> None:
    runs = 0

    async def count_things() -> None:
        nonlocal runs
        runs += 1

    async with Jobs([Job(count_things, EACH_SECOND)], service="crm", database=database, dsn=crm.system):
        await eventually(lambda: runs > 0)
        await admin.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'kith_crm_system'")
        before = runs
        await eventually(lambda: runs > before + 1)


async def test_a_stalled_job_is_queued_again(crm: Served, database: Database, admin: psycopg.AsyncConnection[Any]) -> None:
    async def never() -> None:
        raise AssertionError

    await admin.execute("INSERT INTO procrastinate_workers (last_heartbeat) VALUES (now() - interval '1 hour')")
    await admin.execute(
        "INSERT INTO procrastinate_jobs (queue_name, task_name, status, worker_id) "
        "SELECT 'crm', 'never', 'doing', id FROM procrastinate_workers"
    )
    jobs = Jobs([Job(never, "0 0 1 1 *")], service="crm", database=database, dsn=crm.system)
    async with jobs._app.open_async():
        await jobs.retry_stalled_jobs()
    assert await value(admin, "SELECT status FROM procrastinate_jobs WHERE task_name = 'never'") == "todo"


async def test_the_runtime_role_reaches_no_job(crm: Served) -> None:
    async with await psycopg.AsyncConnection.connect(crm.runtime) as runtime:
        with pytest.raises(InsufficientPrivilege):
            await runtime.execute("SELECT FROM procrastinate_jobs")


async def test_the_system_role_defines_no_function(crm: Served) -> None:
    async with await psycopg.AsyncConnection.connect(crm.system) as system:
        with pytest.raises(InsufficientPrivilege):
            await system.execute("CREATE FUNCTION pg_temp.f() RETURNS int LANGUAGE plpgsql AS $$ BEGIN RETURN 1; END $$")


async def test_only_what_is_due_is_purged(crm: Served, admin: psycopg.AsyncConnection[Any]) -> None:
    tenant = ids.new()
    await admin.execute(
        """
        INSERT INTO outbox (id, tenant_id, subject, key, version, headers, payload, created_at, published_at)
        SELECT gen_random_uuid(), %s::uuid, 's', 'k', 1, '{}'::jsonb, ''::bytea, now() - interval '40 days', published
        FROM (SELECT now() - interval '32 days' FROM generate_series(1, 6000)
              UNION ALL VALUES (now() - interval '30 days'), (NULL)) AS rows (published)
        """,
        [tenant],
    )
    await admin.execute("INSERT INTO inbox VALUES ('c', 'old', now() - interval '32 days'), ('c', 'new', now() - interval '30 days')")
    await admin.execute(
        """
        INSERT INTO idempotency (tenant_id, principal, method, key, request_hash, response, expires_at)
        VALUES (%s::uuid, 'p', 'm', 'old', '', '', now() - interval '1 second'),
               (%s::uuid, 'p', 'm', 'new', '', '', now() + interval '1 hour')
        """,
        [tenant] * 2,
    )
    for job in Purge(crm.system).jobs():
        await job.run()
    assert await value(admin, "SELECT count(*) FROM outbox") == 2
    assert await value(admin, "SELECT string_agg(message_id, ',') FROM inbox") == "new"
    assert await value(admin, "SELECT string_agg(key, ',') FROM idempotency") == "new"


async def test_the_tables_leave_nothing_behind(admin_dsn: str) -> None:
    ai = await servers.database(admin_dsn, "ai")
    for tables in (audit_tables, subject_keys, dead_letters, system_tables):
        servers.migrate(ai, tables.drop)
    left = "SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace"
    of_roles = "'enter_tenant', 'claim_idempotency_key'"
    functions = f"SELECT count(*) FROM pg_proc WHERE pronamespace = 'public'::regnamespace AND proname NOT IN ({of_roles})"
    async with await psycopg.AsyncConnection.connect(ai.admin) as admin:
        assert await value(admin, left) == await value(admin, functions) == 0
    servers.migrate(ai, system_tables.create)
