"""`python -m bench.live`: open live streams, write at a steady rate, print what they cost and how late they are, stop.

The time of a delivery runs from the time that the event carries, which is taken before the commit, so a figure is a little too large.
"""

import argparse
import asyncio
import itertools
import re
import resource
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Final

import httpx
import psutil
import uvloop
from rich.console import Console
from rich.table import Table

from bench import kith
from bench.load import cpu
from bench.load.loops import Generator
from bench.load.requests import Requests
from stack.launch import Platform
from stack.topology import EDGE

STREAMS: Final = 2000
ORGANISATIONS: Final = 100
RATE: Final = 250
WARM_SECONDS: Final = 2.0
SECONDS: Final = 10.0
OPENING: Final = 50  # streams that are opened at the same time
SETTLE_SECONDS: Final = 2.0

_TIME: Final = re.compile(rb'"time":"([^"]+)"')


class Reader(asyncio.Protocol):
    """One stream; notes how late each event is."""

    def __init__(self, head: bytes, late: list[float]) -> None:
        self._head = head
        self._late = late
        self.ready = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self.transport = transport
        transport.write(self._head)

    def data_received(self, data: bytes) -> None:
        now = time.time()
        if not self.ready.done() and b"event: ready" in data:
            self.ready.set_result(None)
        self._late.extend(now - datetime.fromisoformat(each.decode()).timestamp() for each in _TIME.findall(data))

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.ready.done():
            self.ready.set_exception(ConnectionError("refused"))


async def main(rate: int, streams: int) -> None:
    """Run the whole bench; it stops by itself."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    console = Console(width=110)
    with tempfile.TemporaryDirectory(prefix="kith-bench-") as folder:
        async with kith.started(Path(folder)) as platform:
            host, _, port = platform.wiring.address(EDGE.name).partition(":")
            tokens = await _tokens(f"http://{host}:{port}")
            edge = psutil.Process(_edge(platform))
            empty = edge.memory_info().rss
            late: list[float] = []
            with _readers(late) as readers:
                await _open(readers, host, int(port), tokens, late, streams)
                await asyncio.sleep(SETTLE_SECONDS)
                opened = edge.memory_info().rss
                sent, seconds, busy = await _write(host, int(port), tokens, late, edge.pid, rate)
                written = edge.memory_info().rss
    memory = {"alone": empty, f"with {streams} streams": opened, "after the writes": written}
    _show(console, streams, memory, late, sent, seconds, busy)


async def _tokens(url: str) -> list[str]:
    async with httpx.AsyncClient(base_url=url, timeout=30) as client:
        return [await kith.register(client) for _ in range(ORGANISATIONS)]


@contextmanager
def _readers(late: list[float]) -> Iterator[list[Reader]]:
    opened: list[Reader] = []
    try:
        yield opened
    finally:
        for each in opened:
            each.transport.abort()


async def _open(readers: list[Reader], host: str, port: int, tokens: list[str], late: list[float], streams: int) -> None:
    loop = asyncio.get_running_loop()
    for start in range(0, streams, OPENING):
        fresh = []
        for number in range(start, min(start + OPENING, streams)):
            head = f"GET /v1/events:stream HTTP/1.1\r\nhost: {host}\r\nauthorization: Bearer {tokens[number % len(tokens)]}\r\n\r\n"
            _, reader = await loop.create_connection(lambda head=head: Reader(head.encode(), late), host, port)  # type: ignore[misc]
            fresh.append(reader)
        readers += fresh
        async with asyncio.timeout(30):
            await asyncio.gather(*(each.ready for each in fresh))


async def _write(host: str, port: int, tokens: list[str], late: list[float], edge: int, rate: int) -> tuple[int, float, float]:
    """Return how many writes were answered, in how many seconds, and how busy the edge was meanwhile."""
    streams = itertools.cycle([Requests(f"{host}:{port}", token, []).stream("post") for token in tokens])
    requests = (next(stream) for stream in streams)
    generator = Generator(host, port)
    await generator.open_loop(requests, rate=rate, seconds=WARM_SECONDS)
    await asyncio.sleep(SETTLE_SECONDS)
    late.clear()
    before = cpu.tree(edge)
    outcome = await generator.open_loop(requests, rate=rate, seconds=SECONDS)
    busy = (cpu.tree(edge) - before) / outcome.seconds
    await asyncio.sleep(SETTLE_SECONDS)
    generator.close()
    if outcome.failures.total():
        raise RuntimeError(f"writes were refused: {dict(outcome.failures)}")
    return outcome.answered, outcome.seconds, busy


def _edge(platform: Platform) -> int:
    found = platform.state.processes[EDGE.name].id
    assert found is not None
    return found.pid


def _show(console: Console, streams: int, memory: dict[str, int], late: list[float], sent: int, seconds: float, busy: float) -> None:
    table = Table(title=f"{streams} live streams of {ORGANISATIONS} organisations, {sent / seconds:.0f} writes/s", title_justify="left")
    table.add_column("what")
    table.add_column("figure", justify="right")
    for name, size in memory.items():
        table.add_row(f"memory of the edge {name}, MiB", f"{size / 2**20:.0f}")
    ordered = sorted(late)
    for percent in (50, 95, 99):
        table.add_row(f"commit to client p{percent}, ms", f"{ordered[int(len(ordered) * percent / 100)] * 1000:.0f}")
    table.add_row("deliveries expected / counted", f"{sent * streams // ORGANISATIONS} / {len(late)}")
    table.add_row("cores of the edge in use", f"{busy:.2f}")
    console.print(table)


def _asked() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.live", description=__doc__)
    parser.add_argument("--rate", type=int, default=RATE, help="writes a second")
    parser.add_argument("--streams", type=int, default=STREAMS, help="open streams, shared out evenly over the organisations")
    return parser.parse_args()


if __name__ == "__main__":
    asked = _asked()
    uvloop.run(main(asked.rate, asked.streams))
