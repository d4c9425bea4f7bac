"""`python -m bench.relay`: put events into an outbox as one commit would, let the relay carry them into their stream, print how fast, stop.

The relay runs in this process, so its CPU time is this process's; PostgreSQL and NATS are those of `kith up`.
"""

import argparse
import asyncio
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psycopg
import uvloop
from psycopg.conninfo import make_conninfo
from rich.console import Console
from rich.table import Table

from bench.load import cpu
from chassis import ids, names
from chassis.events.broker import Broker
from chassis.events.relay import Relay
from stack.launch import Platform, backing
from stack.settings import Settings
from stack.topology import default_ports

SERVICE: Final = "crm"
EVENTS: Final = 40_000
KEYS: Final = 5_000
LARGE: Final = 1_000
POLL: Final = 0.02

FILL: Final = """
INSERT INTO outbox (id, tenant_id, subject, key, version, headers, payload, created_at)
  SELECT uuidv7(), %(tenant)s::uuid, 'kith.crm.contact.updated.v1.' || %(tenant)s::text, (n %% %(keys)s)::text, n,
    '{"traceparent": "", "actor": ""}',
    convert_to(repeat('x', %(size)s), 'UTF8'), now() FROM generate_series(1, %(count)s) n
"""
LEFT: Final = "SELECT count(*) FROM outbox WHERE published_at IS NULL"


@dataclass(frozen=True, slots=True)
class Carried:
    """How long a relay took for so many events of one size, and how much CPU time of its own."""

    count: int
    size: int
    seconds: float
    busy: float


async def main(events: int) -> None:
    """Run the whole bench; it stops by itself."""
    with tempfile.TemporaryDirectory(prefix="kith-bench-") as folder:
        settings = Settings(data=Path(folder), ports=dict.fromkeys(default_ports(), 0))
        async with backing(settings, lambda _: None) as platform:
            found = [await _carry(platform, count, size) for count, size in ((events, 500), (min(events, LARGE), 100_000))]
    _show(Console(width=110), found)


async def _carry(platform: Platform, count: int, size: int) -> Carried:
    dsn = make_conninfo(platform.wiring.admin_dsn(), dbname=names.database(SERVICE))
    async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as admin:
        await admin.execute(FILL, {"tenant": ids.new(), "keys": KEYS, "size": size, "count": count})
        await admin.execute("VACUUM ANALYZE outbox")
        async with Broker(platform.wiring.nats_url(SERVICE), name=SERVICE) as broker:
            began, busy = time.perf_counter(), cpu.generator()
            async with Relay(broker, service=SERVICE, dsn=platform.wiring.dsn(SERVICE, "system")):
                while (await (await admin.execute(LEFT)).fetchall())[0][0]:  # noqa: ASYNC110 - the database sets no event
                    await asyncio.sleep(POLL)
            return Carried(count, size, time.perf_counter() - began, cpu.generator() - busy)


def _show(console: Console, found: list[Carried]) -> None:
    table = Table(title=f"The relay from the outbox into the stream, {KEYS:,} keys", title_justify="left")
    for heading in ("bytes of an event", "events", "events/s", "MB/s", "CPU of the relay, us/event"):
        table.add_column(heading, justify="right")
    for each in found:
        rate, cost = each.count / each.seconds, each.busy / each.count
        table.add_row(f"{each.size:,}", f"{each.count:,}", f"{rate:,.0f}", f"{rate * each.size / 1e6:.1f}", f"{cost * 1e6:.0f}")
    console.print(table)


def _events() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.relay", description=__doc__)
    parser.add_argument("--events", type=int, default=EVENTS, help="events of the usual size")
    return int(parser.parse_args().events)


if __name__ == "__main__":
    uvloop.run(main(_events()))
