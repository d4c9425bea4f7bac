"""`python -m bench.profile`: where the time of edge and service goes while the mix is asked for; print it by room, draw flame graphs, stop.

py-spy must be installed (`--py-spy` says where): it looks at the processes from outside, 400 times a second, and costs them little. A
sample belongs to the innermost function of ours on its stack, so that a library's time is that of whoever called it; what has none of
ours on it is the event loop itself: gRPC's core, libuv, the kernel. Microseconds are shares of the CPU that a request took meanwhile.
"""

import argparse
import asyncio
import re
import shutil
import tempfile
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import uvloop
from rich.console import Console
from rich.table import Table

from bench import flame, kith
from bench.load import cpu
from bench.load.loops import Generator
from bench.target import Target
from stack.topology import ROOT

SECONDS: Final = 15
WARM_SECONDS: Final = 2.0
CLIENTS: Final = 8
PER_SECOND: Final = 400
LOOP: Final = "event loop, gRPC's core, the kernel"
_ENTRY: Final = "Runner.run (asyncio/runners.py)"
"""The event loop. Other threads wait, for spans or for questions after health, which py-spy does not always see."""
DOCS: Final = ROOT / "docs" / "performance"
OURS: Final = re.compile(r"\(((?:gateway|chassis|services|kith)/[\w/]+)\.py")
LIBRARIES: Final = re.compile(r"\(.*?site-packages/|\(.*?lib/python3\.\d+/")
ROOMS: Final[Mapping[str, str]] = {
    "gateway/server": "HTTP",
    "gateway/connection": "HTTP",
    "gateway/exchange": "HTTP",
    "gateway/reader": "HTTP",
    "gateway/sending": "HTTP",
    "gateway/sockets": "HTTP",
    "gateway/requests": "HTTP",
    "gateway/app": "routing, limits, headers",
    "gateway/routes": "routing, limits, headers",
    "gateway/headers": "routing, limits, headers",
    "gateway/limits": "routing, limits, headers",
    "gateway/admission": "routing, limits, headers",
    "gateway/principals": "routing, limits, headers",
    "gateway/calls": "the call and its metadata",
    "gateway/upstreams": "the call and its metadata",
    "gateway": "JSON and messages",
    "chassis/json": "JSON and messages",
    "kith": "JSON and messages",
    "chassis/carrier": "the lane between edge and service",
    "chassis/interceptors": "the chain: identity, policy, idempotency, errors",
    "chassis/context": "the chain: identity, policy, idempotency, errors",
    "chassis/tokens": "tokens",
    "chassis/telemetry": "telemetry",
    "chassis/database": "database: statements, pipelines, outbox, audit",
    "chassis/events": "events: the relay",
    "chassis/mapping": "rows to messages or JSON",
    "chassis/listing": "rows to messages or JSON",
    "chassis": "the rest of the chassis",
    "services/crm/search": "search words of what is written",
    "services": "api, rules, store of the noun",
}
"""Rooms by the beginning of a module's path; the longest one counts."""


async def main(kind: str, tool: str) -> None:
    """Run the whole profile."""
    console = Console(width=110)
    with tempfile.TemporaryDirectory(prefix="kith-bench-") as folder:
        async with kith.started(Path(folder)) as platform:
            target = await kith.target(platform)
            generator = Generator(target.host, target.port)
            await generator.closed_loop(target.requests.stream(kind), clients=CLIENTS, seconds=WARM_SECONDS)
            pids = {"edge": kith.edge(platform), "service": kith.service(platform)}
            watching = [asyncio.create_task(_stacks(tool, pid, Path(folder) / name)) for name, pid in pids.items()]
            used = await _asked(generator, target, kind)
            stacks = dict(zip(pids, await asyncio.gather(*watching), strict=True))
            generator.close()
    DOCS.mkdir(exist_ok=True)
    for name, found in stacks.items():
        _show(console, name, found, used[name])
        title = f"{name}, {kind}: {used[name]:.0f} microseconds of CPU a request"
        (DOCS / f"{name}.svg").write_text(flame.svg(title, found))


async def _asked(generator: Generator, target: Target, kind: str) -> dict[str, float]:
    before = cpu.read(target.meters)
    outcome = await generator.closed_loop(target.requests.stream(kind), clients=CLIENTS, seconds=SECONDS + 1)
    return cpu.used(before, cpu.read(target.meters), outcome.answered)


async def _stacks(tool: str, pid: int, file: Path) -> Counter[tuple[str, ...]]:
    """Return how often each stack was seen, from its root to its leaf."""
    arguments = [
        "record",
        "--pid",
        str(pid),
        "--duration",
        str(SECONDS),
        "--rate",
        str(PER_SECOND),
        "--format",
        "raw",
        "--output",
        str(file),
    ]
    process = await asyncio.create_subprocess_exec(tool, *arguments, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL)
    await process.wait()
    return _read(file)


def _read(file: Path) -> Counter[tuple[str, ...]]:
    found: Counter[tuple[str, ...]] = Counter()
    for line in file.read_text().splitlines():
        stack, _, samples = line.rpartition(" ")
        frames = tuple(_named(frame) for frame in stack.split(";"))
        if _ENTRY in frames:
            found[frames[frames.index(_ENTRY) :]] += int(samples)
    return found


def _named(frame: str) -> str:
    """Return a frame without line and without the folders of this machine."""
    return LIBRARIES.sub("(", re.sub(r":\d+\)$", ")", frame)).replace(f"{ROOT}/", "")


def _show(console: Console, name: str, stacks: Counter[tuple[str, ...]], used: float) -> None:
    rooms: Counter[str] = Counter()
    for stack, samples in stacks.items():
        rooms[_room(stack)] += samples
    table = Table(title=f"{name}: {used:.0f} us of CPU a request", title_justify="left")
    for heading in ("room", "us", "share"):
        table.add_column(heading, justify="left" if heading == "room" else "right")
    for room, samples in rooms.most_common():
        share = samples / rooms.total()
        table.add_row(room, f"{share * used:.0f}", f"{share:.0%}")
    console.print(table)


def _room(stack: tuple[str, ...]) -> str:
    """Return the room of the innermost function of ours below the entry of the process."""
    modules = [found[1] for frame in stack if (found := OURS.search(frame))]
    inner = next(
        (module for module in reversed(modules) if module not in {"gateway/main", "chassis/app"} and not module.endswith("/main")), ""
    )
    return next((ROOMS[start] for start in sorted(ROOMS, key=len, reverse=True) if inner.startswith(start)), LOOP)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m bench.profile", description=__doc__)
    parser.add_argument("kind", nargs="?", default="mix", help="get, list, search, post, patch or mix")
    parser.add_argument("--py-spy", default=shutil.which("py-spy"), required=shutil.which("py-spy") is None, help="where py-spy is")
    given = parser.parse_args()
    uvloop.run(main(given.kind, given.py_spy))
