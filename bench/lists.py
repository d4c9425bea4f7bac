"""`python -m bench.lists`: fill a tenant beside another one, read the same list at its beginning and far down, print what it takes, stop.

Database time is what PostgreSQL says of each statement's execution as the runtime role, under row-level security. Ends with 1 when a
statement takes longer than its goal, or reads a whole table.
"""

import asyncio
import json
import sys
import tempfile
from base64 import b64decode
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, cast
from urllib.parse import urlencode

import httpx
import orjson
import psycopg
import uvloop
from psycopg.conninfo import make_conninfo
from rich.console import Console
from rich.table import Table

from bench import kith
from bench.load.loops import Generator
from chassis import ids, names, pages
from chassis.database import Found, Query, UnitOfWork
from chassis.database.decoding import Columns
from chassis.listing import Ask
from services.crm.contacts.store import LISTING
from stack.launch import Platform
from stack.topology import EDGE

CONTACTS: Final = 200_400
OTHERS: Final = 100_000
PAGE: Final = 20
DEPTHS: Final = (0, 100_000, 200_000)
ORDERS: Final = ("create_time desc", "display_name")
GOAL_MS: Final = 1.0  # at p95, at any depth (docs/benchmarks.md)
TRIES: Final = 200
RATE: Final = 50
SECONDS: Final = 5.0
WARM_SECONDS: Final = 1.0

FILL: Final = """
INSERT INTO contacts (tenant_id, id, version, create_time, update_time, given_name, family_name, display_name, sort_name, emails, phones,
    title, department, source, status, social_profiles, tags)
  SELECT %(tenant)s::uuid, uuidv7(), 1, now() - n * interval '1 second', now(), given, family, given || ' ' || family,
    given || ' ' || family,
    jsonb_build_array(jsonb_build_object('address', 'person' || n || '@example.com', 'label', 'work')), '[]', 'Buyer', 'Purchasing', 'fair',
    'active', '[]', '["customer"]'
  FROM (SELECT n, 'given' || n %% 977 AS given, 'family' || n %% 3571 AS family FROM generate_series(1, %(count)s) n)
"""


@dataclass
class Explained:
    """Stands in for a unit of work: runs what a list asks, and notes how long PostgreSQL says that took and what it read whole."""

    connection: psycopg.AsyncConnection[Any]
    tenant_id: str
    took: list[float] = field(default_factory=list)
    whole: set[str] = field(default_factory=set)

    async def find(self, query: Query, **values: Any) -> Found:
        asked = b"EXPLAIN (ANALYZE, TIMING OFF, FORMAT JSON) " + query.command
        result = self.connection.pgconn.exec_params(asked, query.parameters(values), None, query.formats)
        answer = orjson.loads(result.get_value(0, 0) or b"")
        self.took.append(float(answer[0]["Execution Time"]))
        self.whole.update(node["Relation Name"] for node in _nodes(answer[0]["Plan"]) if node["Node Type"] == "Seq Scan")
        return Found(result, Columns(result))


@dataclass(frozen=True, slots=True)
class Measured:
    """One place of one list."""

    order: str
    depth: int
    database: list[float]
    edge: list[float]
    whole: set[str]


async def main() -> bool:
    """Run the whole bench; it stops by itself. Return whether the goals are met."""
    console = Console(width=110)
    with tempfile.TemporaryDirectory(prefix="kith-bench-") as folder:
        async with kith.started(Path(folder)) as platform:
            address = platform.wiring.address(EDGE.name)
            async with httpx.AsyncClient(base_url=f"http://{address}", timeout=30) as client:
                token = await kith.register(client)
                me = await client.get("/v1/me", headers={"authorization": f"Bearer {token}"})
            tenant = str(me.json()["tenant"]["id"])
            console.print(f"filling {CONTACTS + OTHERS:,} contacts")
            await asyncio.to_thread(_fill, platform, tenant)
            pages.use_key(b64decode(platform.wiring.secrets.page_key.read_bytes()))
            found = [await _measure(platform, tenant, address, token, order, depth) for order in ORDERS for depth in DEPTHS]
    _show(console, found)
    return all(_at(each.database, 0.95) <= GOAL_MS and not each.whole for each in found)


def _fill(platform: Platform, tenant: str) -> None:
    with psycopg.connect(_admin(platform), autocommit=True) as admin:
        for owner, count in ((ids.new(), OTHERS), (tenant, CONTACTS)):
            admin.execute(FILL, {"tenant": owner, "count": count})
        admin.execute("VACUUM ANALYZE contacts")


async def _measure(platform: Platform, tenant: str, address: str, token: str, order: str, depth: int) -> Measured:
    behind = await _token(platform, tenant, order, depth)
    async with await psycopg.AsyncConnection.connect(platform.wiring.dsn("crm", "runtime"), prepare_threshold=0) as connection:
        await connection.execute(f"SET LOCAL app.tenant_id = '{tenant}'".encode())
        explained = Explained(connection, tenant)
        for _ in range(TRIES):
            await LISTING.page(cast("UnitOfWork", explained), Ask(page_size=PAGE, order_by=order, page_token=behind))
    query = urlencode({"pageSize": PAGE, "orderBy": order, "pageToken": behind})
    request = f"GET /v1/contacts?{query} HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {token}\r\n\r\n".encode()
    return Measured(order, depth, explained.took, await _edge(address, request), explained.whole)


async def _token(platform: Platform, tenant: str, order: str, depth: int) -> str:
    """Return the token of the page behind so many contacts, as its list would have given it."""
    if not depth:
        return ""
    column, descending = LISTING.orders[order]
    direction = "DESC" if descending else "ASC"
    ordered = f"SELECT {column}, id::text FROM contacts WHERE tenant_id = %s ORDER BY {column} {direction}, id {direction}"
    async with await psycopg.AsyncConnection.connect(_admin(platform)) as admin:
        ((key, last),) = await (await admin.execute(f"{ordered} OFFSET %s LIMIT 1".encode(), [tenant, depth - 1])).fetchall()
    return pages.seal([key if isinstance(key, str) else key.isoformat(), last], ("contacts", tenant, "", column, str(descending), "False"))


async def _edge(address: str, request: bytes) -> list[float]:
    host, _, port = address.partition(":")
    generator = Generator(host, int(port))
    await generator.open_loop(_again(request), rate=RATE, seconds=WARM_SECONDS)
    outcome = await generator.open_loop(_again(request), rate=RATE, seconds=SECONDS)
    generator.close()
    if outcome.failures.total():
        raise RuntimeError(f"lists were refused: {dict(outcome.failures)}")
    return outcome.latencies


def _again(request: bytes) -> Iterator[bytes]:
    while True:
        yield request


def _admin(platform: Platform) -> str:
    return make_conninfo(platform.wiring.admin_dsn(), dbname=names.database("crm"))


def _nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for each in plan.get("Plans", ()):
        yield from _nodes(each)


def _at(took: Sequence[float], share: float) -> float:
    return sorted(took)[int(len(took) * share)]


def _show(console: Console, found: Sequence[Measured]) -> None:
    title = f"A page of {PAGE} among {CONTACTS:,} contacts of one tenant of {CONTACTS + OTHERS:,}, milliseconds"
    table = Table(title=title, title_justify="left")
    for heading in ("order", "behind", "database p50", "p95", f"edge at {RATE}/s p50", "p95", "p99", "read whole"):
        table.add_column(heading, justify="left" if heading == "order" else "right")
    for each in found:
        database = (f"{_at(each.database, share):.2f}" for share in (0.5, 0.95))
        edge = (f"{_at(each.edge, share):.1f}" for share in (0.5, 0.95, 0.99))
        table.add_row(each.order, f"{each.depth:,}", *database, *edge, json.dumps(sorted(each.whole)) if each.whole else "nothing")
    console.print(table)


if __name__ == "__main__":
    sys.exit(not uvloop.run(main()))
