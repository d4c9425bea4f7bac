"""`kith audit verify`, as an operator runs it about one organisation or all."""

import asyncio
import json
import os
import subprocess
from collections.abc import Awaitable, Callable

import httpx
import psycopg
import pytest

from stack.wiring import Wiring
from tests import running
from tests.conftest import AdminDsn, Person, Register

PATIENCE = 120
SEALED = """
    SELECT count(*) > 0 AND (SELECT sum(row_count) FROM audit_batches WHERE tenant_id = %(tenant)s AND seal_number > 0) = count(*)
    FROM audit_log WHERE tenant_id = %(tenant)s
"""

Run = Callable[..., Awaitable[subprocess.CompletedProcess[str]]]


@pytest.fixture
def verify(platform: Wiring) -> Run:
    """`await verify("--json")` runs the command about the session's platform."""

    async def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [running.KITH, "audit", "verify", *arguments, "--data", str(platform.layout.data)]
        environment = {**os.environ, **running.ENVIRONMENT, "COLUMNS": "200"}
        return await asyncio.to_thread(subprocess.run, command, env=environment, capture_output=True, text=True, timeout=300, check=False)

    return run


@pytest.fixture
async def owner(register: Register, edge: httpx.AsyncClient, admin_dsn: AdminDsn) -> Person:
    """The owner of an organisation whose trail in crm has one row, which is sealed."""
    owner = await register()
    answer = await edge.post("/v1/contacts", json={"givenName": "Ada"}, headers=owner.headers)
    assert answer.is_success, answer.text
    async with await psycopg.AsyncConnection.connect(admin_dsn("crm"), autocommit=True) as admin, asyncio.timeout(PATIENCE):
        while True:
            (sealed,) = await (await admin.execute(SEALED, {"tenant": owner.tenant_id})).fetchone() or (False,)
            if sealed:
                return owner
            await asyncio.sleep(0.1)


async def test_an_operator_is_told_that_a_trail_is_whole_and_where_it_breaks(verify: Run, owner: Person, admin_dsn: AdminDsn) -> None:
    good = await verify("--tenant", owner.tenant_id)
    assert (good.returncode, good.stderr) == (0, "")
    assert good.stdout.startswith(f"{owner.tenant_id}: ")
    assert good.stdout.endswith("whole\n")
    async with await psycopg.AsyncConnection.connect(admin_dsn("crm")) as admin:
        await admin.execute("SET session_replication_role TO replica")
        cursor = await admin.execute("DELETE FROM audit_log WHERE tenant_id = %s RETURNING id::text", [owner.tenant_id])
        (deleted,) = await cursor.fetchone() or ("",)
    broken = await verify("--tenant", owner.tenant_id)
    assert broken.returncode == 1
    assert "broken: row missing (service crm" in broken.stdout
    shown = await verify("--json")
    assert shown.returncode == 1, shown.stderr
    found = {each["tenant"]: each["flaw"] for each in json.loads(shown.stdout)}
    assert found[owner.tenant_id]["rowId"] == deleted


async def test_an_unknown_organisation_has_no_trail(verify: Run) -> None:
    shown = await verify("--tenant", "01a00000-0000-7000-8000-000000000000", "--json")
    assert (shown.returncode, json.loads(shown.stdout)[0]["rows"]) == (0, 0)


async def test_what_is_no_organisation_is_said(verify: Run) -> None:
    shown = await verify("--tenant", "nobody")
    assert shown.returncode == 1
    assert "Traceback" not in shown.stderr
