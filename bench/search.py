"""`python -m bench.search`: fill a tenant of 200,000 contacts beside others, search as people do, print what it takes, stop.

Database time is what the statements of a search take the runtime role, there and back, tried again and again with other words.
"""

import asyncio
import random
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final
from urllib.parse import quote

import httpx
import psycopg
import uvloop
from psycopg.conninfo import make_conninfo
from rich.console import Console
from rich.table import Table

from bench import kith
from bench.load.loops import Generator
from chassis import ids, names
from chassis.context import Caller, CallerKind, Request, enter
from chassis.database import Database, unit_of_work
from services.crm.search import rules, store
from stack.launch import Platform
from stack.topology import EDGE

OTHER: Final = "00000000-0000-7000-8000-00000000be9c"
CONTACTS: Final = 200_000
OTHERS: Final = 100_000
GIVEN, FAMILY = 300, 3_000
"""Different names, the frequent ones far more so."""
TRIES: Final = 200
RATE: Final = 50
SECONDS: Final = 8.0
WARM_SECONDS: Final = 2.0

PEOPLE: Final = """
CREATE TEMPORARY TABLE people AS
  SELECT uuidv7() AS id, 'given' || (power(random(), 2) * {given})::int AS given,
    'family' || (power(random(), 2) * {family})::int AS family, lpad(n::text, 7, '0') AS number FROM generate_series(1, {count}) n
"""
RECORDS: Final = """
INSERT INTO contacts (tenant_id, id, version, create_time, update_time, given_name, family_name, display_name, sort_name, emails, phones,
    title, department, source, status, social_profiles, tags)
  SELECT '{tenant}', id, 1, now(), now(), given, family, given || ' ' || family, given || ' ' || family,
    jsonb_build_array(jsonb_build_object('address', given || '.' || family || number || '@mail.example.com', 'label', '')),
    jsonb_build_array(jsonb_build_object('number', '+1555' || number, 'e164', '+1555' || number, 'extension', '', 'label', '')),
    '', '', '', 'active', '[]', '[]' FROM people
"""
TOKENS: Final = """
INSERT INTO search_tokens (tenant_id, kind, entity_id, token, field, version)
  SELECT '{tenant}', 'contact', id, token, field, {version} FROM people, LATERAL (VALUES
    (given, 1), (family, 1), (given || '.' || family || number || '@mail.example.com', 2), (family || number || '@mail.example.com', 2),
    ('mail.example.com', 2), ('example.com', 2), ('1555' || number, 3), ('555' || number, 3), (number, 3), (right(number, 4), 3))
    t(token, field)
  ON CONFLICT DO NOTHING
"""

KINDS: Final = {
    "one letter": ["g"],
    "a rare name": ["family{f}"],
    "the beginning of names": ["given1"],
    "a frequent name": ["given0"],
    "two names": ["given{g}", "family{f}"],
    "two frequent names": ["given0", "family0"],
    "two words on everybody": ["example", "mail"],
    "eight words": ["given0", "family", "mail", "example", "1555", "g", "f", "1"],
    "an email": ["given{g}.family{f}"],
    "the end of a number": ["{n}"],
    "nothing": ["nobody{n}"],
}
"""What is searched for, with a name or a number put in."""


async def main() -> None:
    """Run the whole bench; it stops by itself."""
    console = Console(width=110)
    with tempfile.TemporaryDirectory(prefix="kith-bench-") as folder:
        async with kith.started(Path(folder)) as platform:
            host, _, port = platform.wiring.address(EDGE.name).partition(":")
            async with httpx.AsyncClient(base_url=f"http://{host}:{port}", timeout=30) as client:
                token = await kith.register(client)
                me = await client.get("/v1/me", headers={"authorization": f"Bearer {token}"})
            tenant = str(me.json()["tenant"]["id"])
            console.print(f"filling {CONTACTS + OTHERS:,} contacts")
            await asyncio.to_thread(_fill, platform, tenant)
            database = {kind: await _database(platform, tenant, words) for kind, words in KINDS.items()}
            edge = await _edge(host, int(port), token)
    _show(console, database, edge)


def _fill(platform: Platform, tenant: str) -> None:
    dsn = make_conninfo(platform.wiring.admin_dsn(), dbname=names.database("crm"))
    with psycopg.connect(dsn, autocommit=True) as admin:
        for owner, count in ((OTHER, OTHERS), (tenant, CONTACTS)):
            admin.execute(PEOPLE.format(given=GIVEN, family=FAMILY, count=count).encode())
            if owner == tenant:
                admin.execute(RECORDS.format(tenant=owner).encode())
            admin.execute(TOKENS.format(tenant=owner, version=rules.VERSION).encode())
            admin.execute("DROP TABLE people")
        admin.execute("VACUUM ANALYZE contacts, search_tokens")


def _filled(words: Sequence[str]) -> list[str]:
    return [word.format(g=random.randrange(GIVEN), f=random.randrange(FAMILY), n=random.randrange(1000, 10_000)) for word in words]


async def _database(platform: Platform, tenant: str, words: Sequence[str]) -> list[float]:
    """Return the milliseconds that each search took."""
    took: list[float] = []
    async with Database(platform.wiring.dsn("crm", "runtime"), size=1) as database:
        caller = Caller(kind=CallerKind.SERVICE, service="crm")
        enter(Request(request_id=ids.new(), database=database, caller=caller, origin="bench"))
        async with unit_of_work(tenant) as work:
            for _ in range(TRIES):
                began = time.perf_counter()
                await store.find(work, ["contact", "company"], _filled(words), most=rules.SEARCHED, size=20)
                took.append((time.perf_counter() - began) * 1000)
    return took


async def _edge(host: str, port: int, token: str) -> list[float]:
    generator = Generator(host, port)
    await generator.open_loop(_asked(host, port, token), rate=RATE, seconds=WARM_SECONDS)
    outcome = await generator.open_loop(_asked(host, port, token), rate=RATE, seconds=SECONDS)
    generator.close()
    if outcome.failures.total():
        raise RuntimeError(f"searches were refused: {dict(outcome.failures)}")
    return outcome.latencies


def _asked(host: str, port: int, token: str) -> Iterator[bytes]:
    while True:
        query = quote(" ".join(_filled(random.choice(list(KINDS.values())))))
        yield f"GET /v1/search?query={query} HTTP/1.1\r\nhost: {host}:{port}\r\nauthorization: Bearer {token}\r\n\r\n".encode()


def _show(console: Console, database: dict[str, list[float]], edge: list[float]) -> None:
    table = Table(title=f"Search in {CONTACTS:,} contacts of one tenant of {CONTACTS + OTHERS:,}, milliseconds", title_justify="left")
    for heading in ("what", "least", "p50", "p95", "most"):
        table.add_column(heading, justify="left" if heading == "what" else "right")
    for kind, took in [*database.items(), (f"edge, all of these, {RATE}/s", edge)]:
        ordered = sorted(took)
        table.add_row(kind, *(f"{ordered[min(int(len(ordered) * share), len(ordered) - 1)]:.1f}" for share in (0, 0.5, 0.95, 1)))
    console.print(table)


if __name__ == "__main__":
    uvloop.run(main())
