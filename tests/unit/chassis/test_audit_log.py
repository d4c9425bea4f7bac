"""The audit log takes rows and nothing else, by months; a month that nobody made loses no row."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from alembic.operations import Operations
from psycopg.errors import InsufficientPrivilege

from chassis import ids
from chassis.database import audit_partitions, audit_tables
from tests.unit.chassis import servers
from tests.unit.chassis.servers import Served

TENANT = ids.new()
INSERT = """
    INSERT INTO audit_log (tenant_id, id, at, actor_kind, actor_id, session_id, method, action, resource_id, version, changed,
                           request_id, client_ip, user_agent)
    VALUES (%s, %s, now(), 'user', '', '', '', '', '', 0, '{}', '', '', '')
"""

Admin = psycopg.AsyncConnection[Any]


@pytest.fixture(scope="module")
async def served(admin_dsn: str) -> Served:
    return await servers.database(admin_dsn, "audited")


@pytest.fixture
async def admin(served: Served) -> AsyncIterator[Admin]:
    async with await psycopg.AsyncConnection.connect(served.admin, autocommit=True) as connection:
        await connection.execute("TRUNCATE audit_log")
        yield connection


def of_time(moment: datetime) -> str:
    """Return an id that was made then."""
    digits = f"{round(moment.timestamp() * 1000):012x}"
    return f"{digits[:8]}-{digits[8:]}-{ids.new()[14:]}"


async def places(admin: Admin) -> list[str]:
    cursor = await admin.execute("SELECT tableoid::regclass::text FROM audit_log ORDER BY id")
    return [row[0] for row in await cursor.fetchall()]


@pytest.mark.parametrize("role", ["runtime", "system", "migrator"])
@pytest.mark.parametrize("statement", ["UPDATE audit_log SET action = 'x'", "DELETE FROM audit_log"])
async def test_nobody_who_signs_in_changes_a_row(served: Served, admin: Admin, role: str, statement: str) -> None:
    await admin.execute(INSERT, [TENANT, ids.new()])
    async with await psycopg.AsyncConnection.connect(getattr(served, role)) as connection:
        with pytest.raises(InsufficientPrivilege):
            await connection.execute(statement.encode())


@pytest.mark.parametrize("role", ["runtime", "system"])
@pytest.mark.parametrize("table", ["audit_log", "audit_log_first", "audit_log_rest"])
@pytest.mark.parametrize(
    "statement", ["TRUNCATE {}", "DROP TABLE {}", "ALTER TABLE {} DISABLE TRIGGER ALL", "ALTER TABLE {} DISABLE ROW LEVEL SECURITY"]
)
async def test_services_cannot_empty_the_log_nor_take_its_guards_away(served: Served, role: str, table: str, statement: str) -> None:
    async with await psycopg.AsyncConnection.connect(getattr(served, role)) as connection:
        with pytest.raises(InsufficientPrivilege):
            await connection.execute(statement.format(table).encode())


@pytest.mark.parametrize("role", ["runtime", "system"])
@pytest.mark.parametrize("statement", ["SELECT FROM {}", "INSERT INTO {} DEFAULT VALUES", "UPDATE {} SET action = ''", "DELETE FROM {}"])
async def test_a_partition_is_reached_by_its_parent_alone(served: Served, role: str, statement: str) -> None:
    async with await psycopg.AsyncConnection.connect(getattr(served, role)) as connection:
        with pytest.raises(InsufficientPrivilege):
            await connection.execute(statement.format("audit_log_first").encode())


@pytest.mark.parametrize("statement", ["UPDATE audit_batches SET root = ''", "DELETE FROM audit_batches", "TRUNCATE audit_batches"])
@pytest.mark.parametrize("role", ["runtime", "system"])
async def test_services_cannot_change_a_batch(served: Served, role: str, statement: str) -> None:
    async with await psycopg.AsyncConnection.connect(getattr(served, role)) as connection:
        with pytest.raises(InsufficientPrivilege):
            await connection.execute(statement.encode())


async def test_rows_go_into_the_month_of_their_id(admin: Admin) -> None:
    now = datetime.now(UTC)
    months = [now, now.replace(day=1) + timedelta(days=32), now + timedelta(days=4000)]
    for moment in months:
        await admin.execute(INSERT, [TENANT, of_time(moment)])
    assert await places(admin) == ["audit_log_first", f"audit_log_{months[1]:%Y_%m}", "audit_log_rest"]


async def test_months_are_made_ahead_behind_the_rows_that_found_none(served: Served, admin: Admin) -> None:
    late = datetime.now(UTC).replace(day=1) + timedelta(days=32 * (audit_partitions.AHEAD + 2))
    await admin.execute(INSERT, [TENANT, of_time(late)])

    def make(op: Operations) -> None:
        audit_partitions.make_ahead(op, late)
        audit_partitions.make_ahead(op, late)

    servers.migrate(served, make)
    following = late.replace(day=1) + timedelta(days=32)
    await admin.execute(INSERT, [TENANT, of_time(following)])
    assert await places(admin) == ["audit_log_rest", f"audit_log_{following:%Y_%m}"]


async def test_only_the_months_that_rows_wait_for_are_not_made(served: Served, admin: Admin) -> None:
    late = datetime.now(UTC).replace(day=1) + timedelta(days=32 * 40)
    following, second = (late.replace(day=1) + timedelta(days=days) for days in (32, 63))
    await admin.execute(INSERT, [TENANT, of_time(following)])
    await admin.execute(INSERT, [TENANT, "ffffffff-ffff-7fff-bfff-ffffffffffff"])
    servers.migrate(served, lambda op: audit_partitions.make_ahead(op, late))
    await admin.execute(INSERT, [TENANT, of_time(second)])
    assert await places(admin) == ["audit_log_rest", f"audit_log_{second:%Y_%m}", "audit_log_rest"]


async def test_what_was_partitioned_can_be_one_table_again(admin_dsn: str) -> None:
    served = await servers.database(admin_dsn, "united")
    async with await psycopg.AsyncConnection.connect(served.admin, autocommit=True) as admin:
        await admin.execute(INSERT, [TENANT, ids.new()])
        servers.migrate(served, audit_tables.drop)
        servers.migrate(served, audit_tables.create)
        servers.migrate(served, audit_tables.drop)
        assert await places(admin) == ["audit_log"]
