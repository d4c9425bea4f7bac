"""`python -m bench.start`: run the platform, start each of its processes once more beside it, some times over, and stop.

Prints the seconds from the command to the first yes of /readyz, the CPU seconds until then, and the memory that is held right
after it. Ends with 1 when a goal is missed.
"""

import argparse
import asyncio
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Final

import psutil
import uvloop
from rich.console import Console
from rich.table import Table

from bench import kith
from bench.load.memory import MIB
from stack import ports
from stack.launch import Platform
from stack.processes.probes import http_ready
from stack.topology import EDGE, ROOT, SERVICES, Service

ROUNDS: Final = 5
GOAL_SECONDS: Final = 1.0
GOAL_MIB: Final = 100.0  # resident, pages of shared libraries included: a process that is alone on its machine pays for all of them
PAUSE: Final = 0.005
PATIENCE: Final = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """One start of one process; memory is in MiB."""

    seconds: float
    cpu: float
    resident: float
    share: float
    threads: int


async def main(rounds: int) -> bool:
    """Run the whole bench; it stops by itself. Return whether the goals are met."""
    console = Console(width=110)
    with tempfile.TemporaryDirectory(prefix="kith-bench-") as folder:
        async with kith.started(Path(folder)) as platform:
            found = {each.name: [await _start(platform, each) for _ in range(rounds)] for each in (*SERVICES, EDGE)}
    _show(console, found)
    return all(_seconds(starts) <= GOAL_SECONDS and _resident(starts) <= GOAL_MIB for starts in found.values())


async def _start(platform: Platform, service: Service) -> Start:
    free, _ = ports.settle("127.0.0.1", {"api": 0, "admin": 0})
    env = {**platform.wiring.environment(service), "KITH_PORT": str(free["api"]), "KITH_ADMIN_PORT": str(free["admin"])}
    ready = http_ready(f"127.0.0.1:{free['admin']}", "/readyz")
    began = time.perf_counter()
    async with _running(service.module, env) as process, asyncio.timeout(PATIENCE):
        while not await ready():  # noqa: ASYNC110 - another process cannot set an event of ours
            await asyncio.sleep(PAUSE)
        seconds = time.perf_counter() - began
        return _measured(psutil.Process(process.pid), seconds)


@asynccontextmanager
async def _running(module: str, env: dict[str, str]) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(sys.executable, "-m", module, env=env, cwd=ROOT, stdout=asyncio.subprocess.DEVNULL)
    try:
        yield process
    finally:
        process.terminate()
        await process.wait()


def _measured(process: psutil.Process, seconds: float) -> Start:
    with process.oneshot():
        times, memory = process.cpu_times(), process.memory_full_info()
        return Start(
            seconds=seconds,
            cpu=times.user + times.system,
            resident=memory.rss / MIB,
            share=memory.pss / MIB,
            threads=process.num_threads(),
        )


def _seconds(starts: Sequence[Start]) -> float:
    return median(each.seconds for each in starts)


def _resident(starts: Sequence[Start]) -> float:
    return median(each.resident for each in starts)


def _show(console: Console, found: dict[str, list[Start]]) -> None:
    title = f"From command to ready, goals {GOAL_SECONDS:g} s and {GOAL_MIB:g} MiB resident"
    table = Table(title=title, title_justify="left")
    for heading in ("process", "ready s", "worst s", "CPU s", "resident MiB", "its share MiB", "threads"):
        table.add_column(heading, justify="left" if heading == "process" else "right")
    for name, starts in found.items():
        cpu, share = median(each.cpu for each in starts), median(each.share for each in starts)
        figures = (_seconds(starts), max(each.seconds for each in starts), cpu)
        table.add_row(name, *(f"{each:.2f}" for each in figures), f"{_resident(starts):.1f}", f"{share:.1f}", str(starts[-1].threads))
    console.print(table)


def _rounds() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.start", description=__doc__)
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="starts whose medians are shown")
    return int(parser.parse_args().rounds)


if __name__ == "__main__":
    sys.exit(not uvloop.run(main(_rounds())))
