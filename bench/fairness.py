"""`python -m bench.fairness`: one tenant asks for 100 times what it may, and others, who keep to their limits, must hardly notice; stop.

Ten tenants ask at the rate that the starting limits give a person, alone and beside the flood in turns; their latencies are compared by
the medians of the rounds. The flood comes from a process of its own. Ends with 1 when the goal is missed (EDG-5).
"""

import argparse
import asyncio
import json
import random
import sys
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Final

import httpx
import uvloop
from rich.console import Console
from rich.table import Table

from bench import kith
from bench.load import cpu
from bench.load.loops import Generator, Outcome
from bench.load.requests import Requests, contact
from gateway.limits import STARTING
from stack.launch import Platform
from stack.topology import EDGE, ROOT

TENANTS: Final = 10
LIMIT: Final = STARTING["READ"].principal.count / STARTING["READ"].principal.seconds
SHARE: Final = 0.8
"""Of its limit that a tenant asks for which keeps to it."""
TIMES: Final = 100
ROUNDS: Final = 3
SECONDS: Final = 5.0
WARM_SECONDS: Final = 1.0
GOAL: Final = 1.2
"""Times what it is alone that the others' p99 may be beside the flood."""


@dataclass
class Side:
    """What the others saw in each round, in milliseconds."""

    p50: list[float] = field(default_factory=list)
    p99: list[float] = field(default_factory=list)
    failures: int = 0

    def note(self, outcome: Outcome) -> None:
        """Keep one round."""
        self.p50.append(outcome.percentile(50))
        self.p99.append(outcome.percentile(99))
        self.failures += outcome.failures.total()


@dataclass
class Flooded:
    """What the flood was told by status, and what each of its requests cost the edge in microseconds."""

    by_status: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0
    cost: list[float] = field(default_factory=list)


async def main(rounds: int) -> None:
    """Run the whole bench; it stops by itself."""
    console = Console(width=110)
    with tempfile.TemporaryDirectory(prefix="kith-bench-") as folder:
        async with kith.started(Path(folder), KITH_RATE_SCALE="1", KITH_RATE_LIMITS=_registering()) as platform:
            host, _, port = platform.wiring.address(EDGE.name).partition(":")
            async with httpx.AsyncClient(base_url=f"http://{host}:{port}", timeout=30) as client:
                others = [await _tenant(client, f"{host}:{port}") for _ in range(TENANTS)]
                flood = await _tenant(client, f"{host}:{port}")
            alone, beside, flooded = await _measured(platform, host, int(port), others, flood, rounds)
    _show(console, alone, beside, flooded)
    raise SystemExit(0 if _met(alone, beside) else 1)


def _registering() -> str:
    """Return limits that let the bench register its tenants; all others are the starting ones."""
    return json.dumps({tier: {"principal": {"count": 6000, "burst": 1000}} for tier in ("ANON", "AUTH")})


async def _tenant(client: httpx.AsyncClient, host: str) -> Requests:
    """Register an organisation with one contact."""
    token = await kith.register(client)
    made = await client.post("/v1/contacts", json=contact(), headers={"authorization": f"Bearer {token}"})
    while made.status_code == httpx.codes.SERVICE_UNAVAILABLE:
        await asyncio.sleep(int(made.headers["retry-after"]))
        made = await client.post("/v1/contacts", json=contact(), headers={"authorization": f"Bearer {token}"})
    return Requests(host, token, [str(made.raise_for_status().json()["id"])])


async def _measured(
    platform: Platform, host: str, port: int, others: Sequence[Requests], flood: Requests, rounds: int
) -> tuple[Side, Side, Flooded]:
    alone, beside, flooded = Side(), Side(), Flooded()
    generator = Generator(host, port)
    await _others(generator, others, WARM_SECONDS)
    for _ in range(rounds):
        before = cpu.tree(kith.edge(platform))
        alone.note(await _others(generator, others, SECONDS))
        calm = cpu.tree(kith.edge(platform)) - before
        async with _flooding(host, port, flood, flooded):
            await asyncio.sleep(WARM_SECONDS)
            before = cpu.tree(kith.edge(platform))
            beside.note(await _others(generator, others, SECONDS))
            busy = cpu.tree(kith.edge(platform)) - before
        flooded.cost.append((busy - calm) * 1e6 / (LIMIT * TIMES * SECONDS))
    generator.close()
    return alone, beside, flooded


async def _others(generator: Generator, others: Sequence[Requests], seconds: float) -> Outcome:
    return await generator.open_loop(_shuffled(others), rate=LIMIT * SHARE * len(others), seconds=seconds)


def _shuffled(others: Sequence[Requests]) -> Iterator[bytes]:
    """Yield a request of each in turn, in another order every time."""
    while True:
        yield from (each.get() for each in random.sample(others, k=len(others)))


@asynccontextmanager
async def _flooding(host: str, port: int, flood: Requests, flooded: Flooded) -> AsyncIterator[None]:
    """Let the flood run beside the block."""
    arguments = ["-m", "bench.load.flood", host, str(port), str(LIMIT * TIMES)]
    process = await asyncio.create_subprocess_exec(
        sys.executable, *arguments, cwd=ROOT, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdin is not None
    process.stdin.write(flood.get().decode().encode("unicode_escape") + b"\n")
    try:
        yield
    finally:
        said, _ = await process.communicate(b"")  # which closes its input
        told = json.loads(said)
        flooded.by_status.update(told["by_status"])
        flooded.seconds += told["seconds"]


def _met(alone: Side, beside: Side) -> bool:
    return not beside.failures and median(beside.p99) <= GOAL * median(alone.p99)


def _show(console: Console, alone: Side, beside: Side, flooded: Flooded) -> None:
    table = Table(
        title=f"{TENANTS} tenants at {SHARE:.0%} of their limit of {LIMIT:g} reads/s; milliseconds, medians", title_justify="left"
    )
    for heading in ("", "p50", "p99", "p99 of the rounds", "failed"):
        table.add_column(heading, justify="left" if heading == "" else "right")
    for name, side in (("alone", alone), (f"beside one at {TIMES} times its limit", beside)):
        rounds = " ".join(f"{each:.1f}" for each in side.p99)
        table.add_row(name, f"{median(side.p50):.1f}", f"{median(side.p99):.1f}", rounds, str(side.failures))
    console.print(table)
    rate = flooded.by_status.total() / flooded.seconds
    console.print(
        f"flood: {rate:.0f}/s, by status {dict(flooded.by_status)}, {median(flooded.cost):.0f} us of the edge each", highlight=False
    )
    seen = median(beside.p99) / median(alone.p99)
    met = _met(alone, beside)
    console.print(f"{'[green]met[/]' if met else '[red]missed[/]'}  p99 at most {GOAL:g} times that alone: {seen:.2f}", highlight=False)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m bench.fairness", description=__doc__)
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="rounds whose medians are compared")
    uvloop.run(main(parser.parse_args().rounds))
