"""Rounds: the systems take turns, so that a slow minute of the machine hits all of them."""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Final

from bench.load import cpu
from bench.load.calibration import calibrate
from bench.load.loops import Generator, Outcome
from bench.target import Target

KINDS: Final = ("get", "list", "post")
RATES: Final = (250, 1000)
ROUNDS: Final = 3
CLIENTS: Final = 8
WARM_SECONDS: Final = 0.7
CLOSED_SECONDS: Final = 2.0
OPEN_SECONDS: Final = 4.0
SETTLE_SECONDS: Final = 0.3
SETTLE_LOOKS: Final = 30
IDLE_SHARE: Final = 0.1
"""A system that uses less of one core than this has nothing left to do."""


@dataclass
class Cost:
    """What one kind of request costs a system; each list has one entry a round."""

    cpu: list[dict[str, float]] = field(default_factory=list)
    per_second: list[float] = field(default_factory=list)
    failures: int = 0

    def part(self, name: str) -> float:
        """Return the median CPU microseconds of one meter."""
        return median(each[name] for each in self.cpu)

    def total(self, counted: Iterable[str]) -> float:
        """Return the median of the rounds' sums over the meters."""
        names = list(counted)
        return median(sum(each[name] for name in names) for each in self.cpu)


@dataclass
class Latency:
    """How long the mix takes at one rate; each list has one entry a round, in milliseconds."""

    p50: list[float] = field(default_factory=list)
    p95: list[float] = field(default_factory=list)
    p99: list[float] = field(default_factory=list)
    answered_per_second: list[float] = field(default_factory=list)
    failures: int = 0


@dataclass
class Figures:
    """Everything that was measured of one system."""

    costs: dict[str, Cost] = field(default_factory=lambda: {kind: Cost() for kind in KINDS})
    latencies: dict[int, Latency] = field(default_factory=lambda: {rate: Latency() for rate in RATES})


@dataclass
class Results:
    """Figures by system, and the machine's own speed through the run."""

    figures: dict[str, Figures]
    calibration: list[float] = field(default_factory=list)


async def measure(targets: Sequence[Target], *, rounds: int = ROUNDS) -> Results:
    """Measure all systems, in turns."""
    results = Results({target.name: Figures() for target in targets})
    generators = {target.name: Generator(target.host, target.port) for target in targets}
    for _ in range(rounds):
        for kind in KINDS:
            results.calibration.append(calibrate())
            for target in targets:
                await _settle(target)
                await _closed(target, generators[target.name], kind, results.figures[target.name].costs[kind])
        for rate in RATES:
            for target in targets:
                await _settle(target)
                await _open(target, generators[target.name], rate, results.figures[target.name].latencies[rate])
    for generator in generators.values():
        generator.close()
    return results


async def _settle(target: Target) -> None:
    """Wait until the system has done what it was asked before, so that no measurement pays for another."""
    for _ in range(SETTLE_LOOKS):
        before = cpu.read(target.meters)
        await asyncio.sleep(SETTLE_SECONDS)
        after = cpu.read(target.meters)
        if sum(after[name] - before[name] for name in target.counted) < SETTLE_SECONDS * IDLE_SHARE:
            return


async def _closed(target: Target, generator: Generator, kind: str, cost: Cost) -> None:
    requests = target.requests.stream(kind)
    await generator.closed_loop(requests, clients=CLIENTS, seconds=WARM_SECONDS)
    before = cpu.read(target.meters)
    outcome = await generator.closed_loop(requests, clients=CLIENTS, seconds=CLOSED_SECONDS)
    after = cpu.read(target.meters)
    cost.cpu.append(cpu.used(before, after, outcome.answered))
    cost.per_second.append(outcome.answered / outcome.seconds)
    cost.failures += outcome.failures.total()


async def _open(target: Target, generator: Generator, rate: int, latency: Latency) -> None:
    requests = target.requests.stream("mix")
    await generator.open_loop(requests, rate=rate / 2, seconds=WARM_SECONDS)
    outcome: Outcome = await generator.open_loop(requests, rate=rate, seconds=OPEN_SECONDS)
    latency.p50.append(outcome.percentile(50))
    latency.p95.append(outcome.percentile(95))
    latency.p99.append(outcome.percentile(99))
    latency.answered_per_second.append(outcome.answered / outcome.seconds)
    latency.failures += outcome.failures.total()
