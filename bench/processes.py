"""`python -m bench.processes`: the platform with one, two and four processes of edge and crm, asked as fast as it answers; print, stop.

Throughput grows only while cores are free: the table says how many were used, by the platform and by the load generator. With `--share 0.1`
each process of edge and crm gets a tenth of a core, so that two cores are enough for four of each.
"""

import argparse
import json
import tempfile
import time
from contextlib import nullcontext
from pathlib import Path
from typing import Final, NamedTuple

import psutil
import uvloop
from rich.console import Console
from rich.table import Table

from bench import kith, shares
from bench.load import cpu
from bench.load.loops import Generator, Outcome
from bench.target import PARTS

COUNTS: Final = ((1, 1), (2, 1), (1, 2), (2, 2), (4, 4))
CLIENTS: Final = 32
SECONDS: Final = 4.0
WARM_SECONDS: Final = 2.0


class Figures(NamedTuple):
    """What so many processes did."""

    edges: int
    services: int
    outcome: Outcome
    used: dict[str, float]
    cores: float


async def main(kind: str, counts: list[tuple[int, int]], share: float) -> None:
    """Run the whole bench; it stops by itself."""
    console = Console(width=110)
    _show(console, kind, [await _measured(kind, edges, services, share) for edges, services in counts])


async def _measured(kind: str, edges: int, services: int, share: float) -> Figures:
    wanted = json.dumps({"edge": edges, kith.ON_THE_PATH: services})
    with tempfile.TemporaryDirectory(prefix="kith-bench-") as folder:
        async with kith.started(Path(folder), KITH_PROCESSES=wanted) as platform:
            target = await kith.target(platform)
            generator = Generator(target.host, target.port)
            requests = target.requests.stream(kind)
            await generator.closed_loop(requests, clients=CLIENTS, seconds=WARM_SECONDS)
            with shares.held(kith.on_the_path(platform), share) if share else nullcontext():
                before, began = cpu.read(target.meters), time.perf_counter()
                outcome = await generator.closed_loop(requests, clients=CLIENTS, seconds=SECONDS)
                after = cpu.read(target.meters)
            cores = sum(after[name] - before[name] for name in after) / (time.perf_counter() - began)
            generator.close()
    return Figures(edges, services, outcome, cpu.used(before, after, outcome.answered), cores)


def _show(console: Console, kind: str, figures: list[Figures]) -> None:
    table = Table(title=f"{kind} with {CLIENTS} clients on {psutil.cpu_count()} cores", title_justify="left")
    for heading in ("edges", "crm", "per s", "p50 ms", "p99 ms", "failed", *PARTS, "us a request", "cores used"):
        table.add_column(heading, justify="right")
    for each in figures:
        rate = f"{each.outcome.answered / each.outcome.seconds:.0f}"
        times = [f"{each.outcome.percentile(percent):.1f}" for percent in (50, 99)]
        costs = [f"{each.used[part]:.0f}" for part in PARTS]
        total = f"{sum(each.used[part] for part in PARTS):.0f}"
        failed = str(each.outcome.failures.total())
        table.add_row(str(each.edges), str(each.services), rate, *times, failed, *costs, total, f"{each.cores:.2f}")
    console.print(table)


def _counts(text: str) -> list[tuple[int, int]]:
    """Read `1x1,2x2`: edges by processes of crm."""
    return [(int(edges), int(services)) for edges, _, services in (part.partition("x") for part in text.split(","))]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m bench.processes", description=__doc__)
    parser.add_argument("kind", nargs="?", default="get", help="get, list, search, post, patch or mix")
    parser.add_argument("--counts", type=_counts, default=list(COUNTS), help="edges by processes of crm, such as 1x1,2x2")
    parser.add_argument("--share", type=float, default=0.0, help="of a core that each process of edge and crm gets at most")
    given = parser.parse_args()
    uvloop.run(main(given.kind, given.counts, given.share))
