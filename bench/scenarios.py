"""`python -m bench.scenarios`: what people do, with a pass mark for each (PRF-2); print, stop. Ends with 1 when one is missed.

browsing: 100 people look through sorted pages of 20 and open contacts, a second apart. rush: the same without the second.
steady: the mix at 250/s (`--seconds 600` for the ten minutes of PRF-2). burst: the mix at 1,000/s. import: the mix at 250/s, alone and
while a file of 40,000 rows comes in. What follows the marks of PRF-2 in the platform as it stands; the others wait for their services.
"""

import argparse
import asyncio
import random
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Final

import httpx
import uvloop
from rich.console import Console
from rich.table import Table

from bench import kith
from bench.imports import content
from bench.load import cpu
from bench.load.connection import Connection
from bench.load.loops import Generator, Outcome
from bench.target import PARTS, Target
from stack.launch import Platform

PEOPLE: Final = 100
THINK: Final = 1.0
PAGES: Final = ("orderBy=display_name", "orderBy=create_time%20desc", "orderBy=update_time%20desc")
SECONDS: Final = 10.0
WARM_SECONDS: Final = 1.0
IMPORT_ROWS: Final = 40_000  # so many that the import outlasts the mix
POLL: Final = 0.2
REFUSALS: Final = frozenset({429, 503})
RUNNING: Final = frozenset({"IMPORT_STATE_VALIDATING", "IMPORT_STATE_RUNNING"})


@dataclass
class Seen:
    """What one scenario was like; `mark` is the percentile that is promised, and the milliseconds."""

    name: str
    outcome: Outcome
    mark: tuple[int, float]
    cpu: Mapping[str, float]
    memory: float = 0.0
    note: str = ""
    met: bool = field(init=False)

    def __post_init__(self) -> None:
        percent, most = self.mark
        self.met = not self.outcome.failures.total() and self.outcome.percentile(percent) <= most


Scenario = Callable[[Platform, Target, float], Awaitable[list[Seen]]]


async def browsing(_: Platform, target: Target, seconds: float) -> list[Seen]:
    """100 people, a second between two pages."""
    return [await _people(target, "100 people browse", seconds, think=THINK)]


async def rush(_: Platform, target: Target, seconds: float) -> list[Seen]:
    """100 people who read nothing."""
    return [await _people(target, "100 people at once", seconds, think=0.0)]


async def steady(_: Platform, target: Target, seconds: float) -> list[Seen]:
    """The mix at 250/s."""
    return [await _mix(target, "mix at 250/s", 250, seconds, (95, 100.0))]


async def burst(_: Platform, target: Target, seconds: float) -> list[Seen]:
    """The mix at 1,000/s."""
    return [await _mix(target, "mix at 1,000/s", 1000, seconds, (99, 1000.0))]


async def importing(platform: Platform, target: Target, seconds: float) -> list[Seen]:
    """The mix at 250/s before an import and during one."""
    before = await _mix(target, "mix at 250/s, alone", 250, seconds, (95, 100.0))
    async with httpx.AsyncClient(base_url=f"http://{target.host}:{target.port}", timeout=120) as client:
        client.headers["authorization"] = f"Bearer {target.requests.token}"
        task = asyncio.create_task(_import(client))
        await asyncio.sleep(WARM_SECONDS)
        during = await _mix(target, "mix at 250/s beside an import", 250, seconds, (95, 100.0))
        running = not task.done()
        took = await task
    during.note = f"{IMPORT_ROWS:,} rows in {took:.1f} s" + ("" if running else ", over before the mix was")
    return [before, during]


SCENARIOS: Final[Mapping[str, Scenario]] = {
    "browsing": browsing,
    "rush": rush,
    "steady": steady,
    "burst": burst,
    "import": importing,
}


async def main(names: list[str], seconds: float) -> None:
    """Run the scenarios one after the other."""
    console = Console(width=120)
    seen: list[Seen] = []
    with tempfile.TemporaryDirectory(prefix="kith-bench-") as folder:
        async with kith.started(Path(folder)) as platform:
            target = await kith.target(platform)
            for name in names:
                seen += await SCENARIOS[name](platform, target, seconds)
    _show(console, seen)
    raise SystemExit(0 if all(each.met for each in seen) else 1)


async def _people(target: Target, name: str, seconds: float, *, think: float) -> Seen:
    outcome, before = Outcome(), cpu.read(target.meters)
    began = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for _ in range(PEOPLE):
            group.create_task(_person(target, began + seconds, think, outcome))
    outcome.seconds = time.perf_counter() - began
    return _seen(target, name, outcome, (99, 200.0), before)


async def _person(target: Target, end: float, think: float, outcome: Outcome) -> None:
    """Ask, read for about as long as people do, ask again, on one connection."""
    connection = await Connection.open(target.host, target.port)
    requests = _looking(target)
    await asyncio.sleep(random.random() * think)
    while (asked := time.perf_counter()) < end:
        outcome.note(await connection.send(next(requests)), time.perf_counter() - asked)
        await asyncio.sleep(random.uniform(0.5, 1.5) * think)
    connection.close()


def _looking(target: Target) -> Iterator[bytes]:
    """Yield what somebody asks who looks at a sorted page, then at two of its contacts."""
    while True:
        yield target.requests.page(random.choice(PAGES))
        yield target.requests.get()
        yield target.requests.get()


async def _mix(target: Target, name: str, rate: float, seconds: float, mark: tuple[int, float]) -> Seen:
    generator = Generator(target.host, target.port)
    requests = target.requests.stream("mix")
    await generator.open_loop(requests, rate=rate / 2, seconds=WARM_SECONDS)
    ready, before = list(islice(requests, int(rate * seconds))), cpu.read(target.meters)
    outcome = await generator.open_loop(iter(ready), rate=rate, seconds=seconds)
    generator.close()
    return _seen(target, name, outcome, mark, before)


def _seen(target: Target, name: str, outcome: Outcome, mark: tuple[int, float], before: cpu.Reading) -> Seen:
    used = cpu.used(before, cpu.read(target.meters), outcome.answered)
    return Seen(name, outcome, mark, used, memory=sum(target.memory[part]() for part in ("edge", "service")))


async def _import(client: httpx.AsyncClient) -> float:
    """Bring a file in; return the seconds that it took."""
    began = time.perf_counter()
    query = {"kind": "RECORD_KIND_CONTACT", "fileName": "bench.csv"}
    sent: AsyncIterator[bytes] = content(0, IMPORT_ROWS)
    upload = await client.post("/v1/imports:upload", params=query, content=sent, headers={"content-type": "text/csv"})
    path = f"/v1/imports/{upload.raise_for_status().json()['id']}"
    (await client.post(f"{path}:start", json={"mode": "IMPORT_MODE_ROWS"})).raise_for_status()
    while await _runs(client, path):  # noqa: ASYNC110 - the service tells nobody
        await asyncio.sleep(POLL)
    return time.perf_counter() - began


async def _runs(client: httpx.AsyncClient, path: str) -> bool:
    """Say whether an import is under way; who is refused asks again."""
    answer = await client.get(path)
    return answer.status_code in REFUSALS or answer.raise_for_status().json()["state"] in RUNNING


def _show(console: Console, seen: list[Seen]) -> None:
    table = Table(title="Scenarios: milliseconds, CPU microseconds a request, MiB of edge and service", title_justify="left")
    for heading in ("scenario", "per s", "p50", "p95", "p99", "errors", "CPU", "memory", "mark"):
        table.add_column(heading, justify="left" if heading in {"scenario", "mark"} else "right")
    for each in seen:
        outcome = each.outcome
        times = [f"{outcome.percentile(percent):.1f}" for percent in (50, 95, 99)]
        cost = sum(each.cpu[part] for part in PARTS)
        mark = f"{'[green]met[/]' if each.met else '[red]missed[/]'} p{each.mark[0]} {each.mark[1]:g} ms, no error"
        rate = f"{outcome.answered / outcome.seconds:.0f}"
        table.add_row(each.name, rate, *times, str(outcome.failures.total()), f"{cost:.0f}", f"{each.memory:.0f}", mark)
    console.print(table)
    for each in seen:
        if errors := {status: count for status, count in each.outcome.failures.items() if count}:
            console.print(f"{each.name}: errors by status {errors}", highlight=False)
        if each.note:
            console.print(f"{each.name}: {each.note}", highlight=False)


def _arguments() -> tuple[list[str], float]:
    parser = argparse.ArgumentParser(prog="python -m bench.scenarios", description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(SCENARIOS)}; all when none is given")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="length of each")
    given = parser.parse_args()
    if unknown := set(given.names) - SCENARIOS.keys():
        parser.error(f"no such scenario: {', '.join(sorted(unknown))}")
    return given.names or list(SCENARIOS), given.seconds


if __name__ == "__main__":
    uvloop.run(main(*_arguments()))
