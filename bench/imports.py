"""`python -m bench.imports`: bring 200,000 contacts in through the edge in both modes or one, print what it took, stop.

The time runs from the first byte of the upload to the end of the run; the memory is what the service's process had at most meanwhile
beyond what it had after a small import.
"""

import argparse
import asyncio
import tempfile
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final, NamedTuple

import httpx
import psutil
import uvloop
from rich.console import Console
from rich.table import Table

from bench import kith
from bench.load import cpu
from chassis import names
from stack.launch import Platform
from stack.topology import EDGE

ROWS: Final = 200_000
SECONDS: Final = 90.0
GROWTH: Final = 150 * 1024**2
PIECE: Final = 2_000  # rows of one piece of the upload
POLL: Final = 0.1
WARM: Final = 2_000  # rows that are imported before anything is measured
MODES: Final = {"rows": "IMPORT_MODE_ROWS", "all": "IMPORT_MODE_ALL"}
RUNNING: Final = frozenset({"IMPORT_STATE_VALIDATING", "IMPORT_STATE_RUNNING", "IMPORT_STATE_CANCELLING"})


class Figures(NamedTuple):
    """What one import took."""

    mode: str
    ended: Mapping[str, Any]
    uploaded: float
    seconds: float
    growth: int
    cpu: Mapping[str, float]


async def main(rows: int, modes: Sequence[str]) -> None:
    """Run the whole bench; it stops by itself. Ends with 1 when a goal is missed."""
    console = Console(width=110)
    with tempfile.TemporaryDirectory(prefix="kith-bench-") as folder:
        async with kith.started(Path(folder)) as platform:
            figures = [await _measured(platform, mode, rows) for mode in modes]
    _show(console, figures, rows)
    raise SystemExit(0 if all(_met(each, rows) for each in figures) else 1)


async def _measured(platform: Platform, mode: str, rows: int) -> Figures:
    """Import rows into an organisation of their own."""
    crm = psutil.Process(kith.service(platform))
    meters = _meters(platform)
    async with httpx.AsyncClient(base_url=f"http://{platform.wiring.address(EDGE.name)}", timeout=600) as client:
        client.headers["authorization"] = f"Bearer {await kith.register(client)}"
        await _finished(client, await _uploaded(client, ROWS * 10, WARM), MODES[mode], crm)
        empty, before, began = crm.memory_info().rss, cpu.read(meters), time.perf_counter()
        uploading = asyncio.create_task(_uploaded(client, 0, rows))
        most = await _most(crm, uploading)
        uploaded = time.perf_counter() - began
        ended, more = await _finished(client, uploading.result(), MODES[mode], crm)
        seconds = time.perf_counter() - began
    return Figures(mode, ended, uploaded, seconds, max(most, more) - empty, cpu.used(before, cpu.read(meters), rows))


def _meters(platform: Platform) -> dict[str, cpu.Meter]:
    edge = platform.state.processes[EDGE.name].id
    assert edge is not None
    return {
        "crm": partial(cpu.tree, kith.service(platform)),
        "PostgreSQL": partial(cpu.postgres, kith.postmaster(platform), [names.database("crm")]),
        "edge": partial(cpu.tree, edge.pid),
    }


async def _uploaded(client: httpx.AsyncClient, first: int, rows: int) -> str:
    query = {"kind": "RECORD_KIND_CONTACT", "fileName": "bench.csv"}
    answer = await client.post("/v1/imports:upload", params=query, content=content(first, rows), headers={"content-type": "text/csv"})
    answer.raise_for_status()
    return str(answer.json()["id"])


async def _finished(client: httpx.AsyncClient, import_id: str, mode: str, crm: psutil.Process) -> tuple[Mapping[str, Any], int]:
    """Run an import to its end; return it and the most memory that the service had meanwhile."""
    path = f"/v1/imports/{import_id}"
    (await client.post(f"{path}:start", json={"mode": mode})).raise_for_status()
    most = 0
    while True:
        most = max(most, crm.memory_info().rss)
        now: dict[str, Any] = (await client.get(path)).raise_for_status().json()
        if now["state"] not in RUNNING:
            return now, most
        await asyncio.sleep(POLL)


async def _most(process: psutil.Process, task: asyncio.Task[str]) -> int:
    """Return the most memory that a process had until a task was done."""
    most = 0
    while not task.done():
        most = max(most, process.memory_info().rss)
        await asyncio.wait([task], timeout=POLL)
    return most


async def content(first: int, rows: int) -> AsyncIterator[bytes]:
    """Yield a file of contacts, piece by piece."""
    yield b"First name,Last name,Email,Phone,Title,City,Tags\n"
    for start in range(first, first + rows, PIECE):
        yield b"".join(_row(number) for number in range(start, min(start + PIECE, first + rows)))


def _row(number: int) -> bytes:
    """Return a person who is like no other one, with a phone number of their own."""
    phone = f"+1 {201 + number // 10_000 % 700} {200 + number % 799} {number % 10_000:04}"
    return f"Person {number},Family {number % 5000},p{number}@example.com,{phone},Clerk,Springfield,bench\n".encode()


def _met(figures: Figures, rows: int) -> bool:
    return figures.seconds <= SECONDS and figures.growth <= GROWTH and figures.ended["report"]["createdCount"] == rows


def _show(console: Console, figures: list[Figures], rows: int) -> None:
    table = Table(title=f"Import of {rows:,} contacts through the edge", title_justify="left")
    for heading in ("what", *(each.mode for each in figures)):
        table.add_column(heading, justify="left" if heading == "what" else "right")
    table.add_row("state", *(each.ended["state"].removeprefix("IMPORT_STATE_").lower() for each in figures))
    table.add_row("records created", *(f"{each.ended['report']['createdCount']:,}" for each in figures))
    table.add_row("seconds of the upload", *(f"{each.uploaded:.1f}" for each in figures))
    table.add_row(f"seconds in all (goal {SECONDS:g})", *(f"{each.seconds:.1f}" for each in figures))
    table.add_row("rows a second", *(f"{rows / each.seconds:,.0f}" for each in figures))
    for meter in figures[0].cpu:
        table.add_row(f"CPU of {meter} a row, microseconds", *(f"{each.cpu[meter]:.0f}" for each in figures))
    table.add_row(f"memory grew by, MiB (goal {GROWTH / 1024**2:g})", *(f"{each.growth / 1024**2:.0f}" for each in figures))
    console.print(table)


def _said() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.imports", description=__doc__)
    parser.add_argument("--rows", type=int, default=ROWS, help="rows of the file")
    parser.add_argument("--mode", choices=MODES, help="one mode alone")
    return parser.parse_args()


if __name__ == "__main__":
    said = _said()
    uvloop.run(main(said.rows, [said.mode] if said.mode else list(MODES)))
