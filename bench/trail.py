"""`python -m bench.trail`: add rows to the audit trail of one tenant, wait until they are sealed, verify them, print what each takes, stop.

Rows are added by SQL, as those of 200 transactions, which are sealed as they come. Calls for one's own name, ten a second, show
whether a process that verifies still answers; the slowest is told.
"""

import argparse
import asyncio
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import httpx
import psycopg
import uvloop
from psycopg.conninfo import make_conninfo
from rich.console import Console
from rich.table import Table

from bench import kith
from bench.load import cpu
from chassis import names
from stack.launch import Platform
from stack.topology import EDGE

ROWS: Final = 1_000_000
TRANSACTIONS: Final = 200
POLL: Final = 0.2
PATIENCE: Final = 60.0  # seconds in which some rows must be sealed
BETWEEN: Final = 0.1

FILL: Final = """
INSERT INTO audit_log (tenant_id, id, at, actor_kind, actor_id, session_id, method, action, resource_id, version, changed, before, after,
    request_id, client_ip, user_agent)
  SELECT '{tenant}', uuidv7(), now(), 'user', '{owner}', uuidv7()::text, 'kith.crm.v1.ContactService/UpdateContact',
    'crm.contact.updated.v1', uuidv7()::text, n, '{{given_name}}', image, image, uuidv7()::text, '192.0.2.1', 'bench'
  FROM (SELECT n, jsonb_build_object('id', uuidv7(), 'given_name', '***', 'family_name', '***', 'title', 'Buyer ' || n,
            'emails', jsonb_build_array(jsonb_build_object('address', '***', 'label', 'work')), 'tags', '["a", "b"]'::jsonb,
            'create_time', now()::text, 'update_time', now()::text, 'etag', n::text) AS image FROM generate_series(1, {count}) n) written
"""
LEFT: Final = """
SELECT (SELECT count(*) FROM audit_log WHERE tenant_id = '{tenant}')
     - (SELECT coalesce(sum(row_count), 0) FROM audit_batches WHERE tenant_id = '{tenant}' AND seal_number > 0)
"""


@dataclass
class Taken:
    """What one part took: seconds, and CPU seconds by process."""

    name: str
    seconds: float = 0.0
    busy: dict[str, float] = field(default_factory=dict)
    slowest: float = 0.0


async def main(rows: int) -> None:
    """Run the whole bench; it stops by itself."""
    with tempfile.TemporaryDirectory(prefix="kith-bench-") as folder:
        async with kith.started(Path(folder)) as platform:
            url = f"http://{platform.wiring.address(EDGE.name)}"
            async with httpx.AsyncClient(base_url=url, timeout=120) as client:
                client.headers["authorization"] = f"Bearer {await kith.register(client)}"
                me = (await client.get("/v1/me")).json()
                found = [await _fill(platform, me["tenant"]["id"], me["user"]["id"], rows), await _verify(platform, client, rows)]
    _show(Console(width=120), found, rows)


async def _fill(platform: Platform, tenant: str, owner: str, rows: int) -> Taken:
    dsn = make_conninfo(platform.wiring.admin_dsn(), dbname=names.database("crm"))
    async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as admin:
        with _measured(platform, "added and sealed") as taken:
            for _ in range(TRANSACTIONS):
                await admin.execute(FILL.format(tenant=tenant, owner=owner, count=rows // TRANSACTIONS).encode())
            await _sealed(admin, tenant, rows)
        await admin.execute("ANALYZE")
    return taken


async def _sealed(admin: psycopg.AsyncConnection, tenant: str, rows: int) -> None:
    """Wait until every row is sealed; TimeoutError once nothing is sealed any more."""
    left = rows
    while left:
        async with asyncio.timeout(PATIENCE):
            left = await _fewer(admin, tenant, left)


async def _fewer(admin: psycopg.AsyncConnection, tenant: str, rows: int) -> int:
    left = rows
    while left >= rows:
        await asyncio.sleep(POLL)
        ((left,),) = await (await admin.execute(LEFT.format(tenant=tenant).encode())).fetchall()
    return left


async def _verify(platform: Platform, client: httpx.AsyncClient, rows: int) -> Taken:
    async with _answering(client) as slowest:
        with _measured(platform, "verified") as taken:
            token: str | None = ""
            while token is not None:
                answer = (await client.get("/v1/auditTrail:verify", params={"pageToken": token})).raise_for_status().json()
                token = answer.get("nextPageToken") or None
    if "flaw" in answer or int(answer["rowCount"]) < rows:
        raise RuntimeError(f"the trail is not whole: {answer}")
    taken.slowest = max(slowest)
    return taken


@contextmanager
def _measured(platform: Platform, name: str) -> Iterator[Taken]:
    taken, meters, began = Taken(name), kith.meters(platform), time.perf_counter()
    before = cpu.read(meters)
    yield taken
    taken.seconds = time.perf_counter() - began
    taken.busy = {part: busy - before[part] for part, busy in cpu.read(meters).items()}


@asynccontextmanager
async def _answering(client: httpx.AsyncClient) -> AsyncIterator[list[float]]:
    """Ask identity, which verifies, and crm, whose rows they are, for a little; keep how long an answer takes. A failure ends the block."""
    answers: list[float] = []

    async def ask() -> None:
        while True:
            for path in ("/v1/me", "/v1/contacts"):
                began = time.perf_counter()
                (await client.get(path)).raise_for_status()
                answers.append(time.perf_counter() - began)
            await asyncio.sleep(BETWEEN)

    async with asyncio.TaskGroup() as group:
        asking = group.create_task(ask())
        yield answers
        asking.cancel()


def _show(console: Console, found: list[Taken], rows: int) -> None:
    table = Table(title=f"The audit trail, {rows:,} rows", title_justify="left")
    for heading in ("part", "seconds", "us a row", "CPU, us a row: crm", "PostgreSQL", "identity and others", "slowest answer beside, ms"):
        table.add_column(heading, justify="left" if heading == "part" else "right")
    for taken in found:
        parts = [taken.seconds, *(taken.busy[part] for part in ("service", "database", "other"))]
        slowest = f"{taken.slowest * 1000:.0f}" if taken.slowest else ""
        table.add_row(taken.name, f"{taken.seconds:.1f}", *(f"{seconds / rows * 1e6:.1f}" for seconds in parts), slowest)
    console.print(table)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=ROWS)
    uvloop.run(main(parser.parse_args().rows))
