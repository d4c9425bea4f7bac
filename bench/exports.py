"""`python -m bench.exports`: fill a tenant of 200,000 contacts, export them in each form, print what it takes, stop.

Memory is what the service and the edge grow by while a file leaves, read from outside five times a second; the slow reader takes 1 MiB/s.
"""

import asyncio
import tempfile
import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import httpx
import psutil
import psycopg
import uvloop
from psycopg.conninfo import make_conninfo
from rich.console import Console
from rich.table import Table

from bench import kith
from chassis import names
from stack.launch import Platform
from stack.topology import EDGE

CONTACTS: Final = 200_000
SAMPLE_SECONDS: Final = 0.2
SLOW: Final = 1024 * 1024
"""Bytes that the slow reader takes in a second."""
SLOW_SECONDS: Final = 15.0
MIB: Final = 2**20

RECORDS: Final = """
INSERT INTO contacts (tenant_id, id, version, create_time, update_time, given_name, family_name, display_name, sort_name, emails, phones,
    title, department, owner_id, source, status, address, social_profiles, tags)
  SELECT '{tenant}', uuidv7(), 1, now() + n * interval '1 ms', now(), given, family, given || ' ' || family, given || ' ' || family,
    jsonb_build_array(jsonb_build_object('address', given || '.' || family || n || '@mail.example.com', 'label', 'work')),
    jsonb_build_array(jsonb_build_object('number', '+49 30 ' || n, 'e164', '+4930' || n, 'extension', '', 'label', 'desk')),
    'Buyer', 'Sales', '{owner}', 'fair', 'active',
    jsonb_build_object('lines', jsonb_build_array('High Street ' || n), 'city', 'York', 'region', 'GB'),
    '[]', '["a", "b"]'
  FROM (SELECT n, 'given' || n % 300 AS given, 'family' || n % 3000 AS family FROM generate_series(1, {count}) n) people
"""
FORMS: Final = {
    "CSV, all columns": {},
    "CSV, names and emails": {"fields": "given_name,family_name,emails"},
    "CSV, by name": {"orderBy": "display_name"},
    "JSON Lines": {"format": "EXPORT_FORMAT_JSONL"},
}


@dataclass
class Taken:
    """What one export took."""

    rows: int = 0
    size: int = 0
    first_byte: float = 0.0
    seconds: float = 0.0
    growth: dict[str, int] = field(default_factory=dict)


async def main() -> None:
    """Run the whole bench; it stops by itself."""
    with tempfile.TemporaryDirectory(prefix="kith-bench-") as folder:
        async with kith.started(Path(folder)) as platform:
            url = f"http://{platform.wiring.address(EDGE.name)}"
            async with httpx.AsyncClient(base_url=url, timeout=120) as client:
                token = await kith.register(client)
                client.headers["authorization"] = f"Bearer {token}"
                me = (await client.get("/v1/me")).json()
                await asyncio.to_thread(_fill, platform, me["tenant"]["id"], me["user"]["id"])
                async for _ in _chunks(client, {"filter": 'title = "Nobody"'}, Taken()):
                    pass  # the first call of all pays for connections and statements
                found = {form: await _export(platform, client, query) for form, query in FORMS.items()}
                found["CSV, a slow reader"] = await _read_slowly(platform, client)
    _show(Console(width=120), found)


def _fill(platform: Platform, tenant: str, owner: str) -> None:
    dsn = make_conninfo(platform.wiring.admin_dsn(), dbname=names.database("crm"))
    with psycopg.connect(dsn, autocommit=True) as admin:
        admin.execute(RECORDS.format(tenant=tenant, owner=owner, count=CONTACTS).encode())
        admin.execute("VACUUM ANALYZE contacts")


async def _export(platform: Platform, client: httpx.AsyncClient, query: dict[str, str]) -> Taken:
    taken = Taken()
    async with _watched(platform, taken):
        async for chunk in _chunks(client, query, taken):
            taken.rows += chunk.count(b"\n")
            taken.size += len(chunk)
    if "format" not in query:
        taken.rows -= 1
    if taken.rows != CONTACTS:
        raise RuntimeError(f"{taken.rows} rows came of {CONTACTS}")
    return taken


async def _read_slowly(platform: Platform, client: httpx.AsyncClient) -> Taken:
    """Leave after a while: what counts is what the rest of the file does to memory meanwhile."""
    taken = Taken()
    async with _watched(platform, taken):
        began = time.perf_counter()
        async with aclosing(_chunks(client, {}, taken)) as chunks:
            async for chunk in chunks:
                taken.rows += chunk.count(b"\n")
                taken.size += len(chunk)
                if time.perf_counter() - began > SLOW_SECONDS:
                    break
                await asyncio.sleep(len(chunk) / SLOW)
    return taken


async def _chunks(client: httpx.AsyncClient, query: dict[str, str], taken: Taken) -> AsyncGenerator[bytes, None]:
    began = time.perf_counter()
    async with client.stream("GET", "/v1/contacts:export", params=query) as answer:
        answer.raise_for_status()
        async for chunk in answer.aiter_raw():
            taken.first_byte = taken.first_byte or time.perf_counter() - began
            yield chunk
    taken.seconds = time.perf_counter() - began


@asynccontextmanager
async def _watched(platform: Platform, taken: Taken) -> AsyncIterator[None]:
    """Keep the most memory that service and edge have during a block, above what they had before."""
    processes = {"crm": psutil.Process(kith.service(platform)), "edge": psutil.Process(kith.edge(platform))}
    before = {name: process.memory_info().rss for name, process in processes.items()}
    taken.growth = dict.fromkeys(processes, 0)

    async def sample() -> None:
        while True:
            for name, process in processes.items():
                taken.growth[name] = max(taken.growth[name], process.memory_info().rss - before[name])
            await asyncio.sleep(SAMPLE_SECONDS)

    sampling = asyncio.create_task(sample())
    try:
        yield
    finally:
        sampling.cancel()


def _show(console: Console, found: dict[str, Taken]) -> None:
    table = Table(title=f"Export of {CONTACTS:,} contacts", title_justify="left")
    for heading in ("form", "rows", "MiB", "first byte, ms", "seconds", "rows/s", "crm grows, MiB", "edge grows, MiB"):
        table.add_column(heading, justify="left" if heading == "form" else "right")
    for form, taken in found.items():
        table.add_row(
            form,
            f"{taken.rows:,}",
            f"{taken.size / MIB:.1f}",
            f"{taken.first_byte * 1000:.0f}",
            f"{taken.seconds:.1f}" if taken.seconds else "left",
            f"{taken.rows / taken.seconds:,.0f}" if taken.seconds else "",
            *(f"{taken.growth[name] / MIB:.1f}" for name in ("crm", "edge")),
        )
    console.print(table)


if __name__ == "__main__":
    uvloop.run(main())
