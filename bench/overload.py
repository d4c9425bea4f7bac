"""`python -m bench.overload`: ask for twice what Kith is rated for, and see that what it takes it answers in time; print, stop.

The rest must be refused at once with 429 or 503 and told when to come again, nothing may pile up in memory, and afterwards all is well.
There are so many connections, opened before, that nothing waits in the load generator. Ends with 1 when a goal is missed.
"""

import argparse
import asyncio
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Final

import httpx
import psutil
import uvloop
from rich.console import Console
from rich.table import Table

from bench import kith
from bench.load.loops import Generator, Outcome
from bench.load.memory import MIB
from bench.target import Target

RATED: Final = 1_000
FACTOR: Final = 2.0
SECONDS: Final = 15.0
CALM_RATE: Final = 250
CALM_SECONDS: Final = 5.0
PAUSE: Final = 2.0
CONNECTIONS: Final = 1_500
LOOK: Final = 0.2  # seconds between two looks at memory, and between two requests whose headers are read

REFUSALS: Final = frozenset({429, 503})
P99_GOAL: Final = 1_000.0
CALM_GOAL: Final = 100.0
GROWTH_GOAL: Final = 64.0
"""MiB that edge and service may grow by: buffers of some thousand connections, but no queue that grows with time."""


@dataclass
class Watched:
    """What was seen beside the load: memory of edge and service, and refusals whose headers were read."""

    begin: float
    most: float = 0.0
    refusals: Counter[bool] = field(default_factory=Counter)


@dataclass(frozen=True)
class Figures:
    """What came of one run."""

    rate: float
    calm: Outcome
    load: Outcome
    after: Outcome
    watched: Watched


async def main(rate: float, seconds: float) -> None:
    """Run the whole bench; it stops by itself."""
    console = Console(width=110)
    with tempfile.TemporaryDirectory(prefix="kith-bench-") as folder:
        async with kith.started(Path(folder)) as platform:
            target = await kith.target(platform)
            processes = [psutil.Process(pid) for pid in (kith.edge(platform), kith.service(platform))]
            figures = await _measured(target, processes, rate, seconds)
    _show(console, figures)
    raise SystemExit(0 if all(good for _, _, good in _marks(figures)) else 1)


async def _measured(target: Target, processes: list[psutil.Process], rate: float, seconds: float) -> Figures:
    generator = Generator(target.host, target.port)
    calm = await generator.open_loop(_ready(target, CALM_RATE, CALM_SECONDS), rate=CALM_RATE, seconds=CALM_SECONDS)
    generator.close()
    generator = Generator(target.host, target.port, connections=CONNECTIONS)
    await generator.open(CONNECTIONS)  # just before: the edge closes those that ask for nothing
    watched = Watched(_memory(processes))
    watching = asyncio.create_task(_watch(target, processes, watched))
    load = await generator.open_loop(_ready(target, rate, seconds), rate=rate, seconds=seconds)
    watching.cancel()
    generator.close()
    await asyncio.sleep(PAUSE)
    generator = Generator(target.host, target.port)
    after = await generator.open_loop(_ready(target, CALM_RATE, CALM_SECONDS), rate=CALM_RATE, seconds=CALM_SECONDS)
    generator.close()
    return Figures(rate, calm, load, after, watched)


def _ready(target: Target, rate: float, seconds: float) -> Iterator[bytes]:
    """Return requests that are built already: none is built while the clock runs."""
    return iter(list(islice(target.requests.stream("mix"), int(rate * seconds))))


async def _watch(target: Target, processes: list[psutil.Process], watched: Watched) -> None:
    headers = {"authorization": f"Bearer {target.requests.token}"}
    async with httpx.AsyncClient(base_url=f"http://{target.host}:{target.port}", headers=headers, timeout=30) as client:
        while True:
            watched.most = max(watched.most, _memory(processes))
            answer = await client.get(f"/v1/contacts/{target.requests.ids[0]}")
            if answer.status_code in REFUSALS:
                watched.refusals["retry-after" in answer.headers] += 1
            await asyncio.sleep(LOOK)


def _memory(processes: list[psutil.Process]) -> float:
    return sum(process.memory_info().rss for process in processes) / MIB


def _marks(figures: Figures) -> Iterator[tuple[str, str, bool]]:
    """Yield every goal, what was seen, and whether it was met."""
    load, watched = figures.load, figures.watched
    p99 = load.percentile(99)
    yield f"p99 of what was answered, at most {P99_GOAL:g} ms", f"{p99:.0f} ms", p99 <= P99_GOAL
    odd = {status: count for status, count in load.failures.items() if count and status not in REFUSALS}
    yield "everything else 429 or 503", f"{odd or 'yes'}", not odd
    told, untold = watched.refusals[True], watched.refusals[False]
    yield "refusals that were looked at say when to come again", f"{told} of {told + untold}", not untold
    growth = watched.most - watched.begin
    yield f"edge and service grow by at most {GROWTH_GOAL:g} MiB", f"{growth:.0f} MiB", growth <= GROWTH_GOAL
    after = figures.after.percentile(99)
    calm = not figures.after.failures.total() and after <= CALM_GOAL
    yield f"{CALM_RATE}/s {PAUSE:g} s later: no error, p99 at most {CALM_GOAL:g} ms", f"{after:.0f} ms", calm


def _show(console: Console, figures: Figures) -> None:
    table = Table(title=f"The mix at {figures.rate:g}/s, rated for {RATED}/s", title_justify="left")
    for heading in ("when", "answered/s", "p50", "p95", "p99", "refused", "lost"):
        table.add_column(heading, justify="left" if heading == "when" else "right")
    for name, outcome in (("before", figures.calm), ("overload", figures.load), ("after", figures.after)):
        refused = sum(count for status, count in outcome.failures.items() if status in REFUSALS)
        times = [f"{outcome.percentile(percent):.0f}" for percent in (50, 95, 99)]
        lost = outcome.failures.total() - refused
        table.add_row(name, f"{outcome.answered / outcome.seconds:.0f}", *times, str(refused), str(lost))
    console.print(table)
    for goal, seen, good in _marks(figures):
        console.print(f"{'[green]met[/]' if good else '[red]missed[/]'}  {goal}: {seen}", highlight=False)


def _arguments() -> tuple[float, float]:
    parser = argparse.ArgumentParser(prog="python -m bench.overload", description=__doc__)
    parser.add_argument("--factor", type=float, default=FACTOR, help="times the rated load")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="length of the overload")
    given = parser.parse_args()
    return given.factor * RATED, given.seconds


if __name__ == "__main__":
    uvloop.run(main(*_arguments()))
