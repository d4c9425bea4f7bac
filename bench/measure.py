"""Rounds: the systems take turns, so that a slow minute of the machine hits all of them."""

import asyncio
import gc
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from statistics import median
from typing import Final

from bench.load import cpu
from bench.load.calibration import calibrate
from bench.load.loops import Generator, Outcome
from bench.target import PARTS, Target

ROUNDS: Final = 3
CLIENTS: Final = 8
WARM_SECONDS: Final = 0.7
CLOSED_SECONDS: Final = 2.0
OPEN_SECONDS: Final = 4.0
SETTLE_SECONDS: Final = 0.3
SETTLE_LOOKS: Final = 20
IDLE_SHARE: Final = 0.1
"""A system that uses less of one core than this has nothing left to do."""


@dataclass(frozen=True)
class Question:
    """What is asked: without a rate as fast as answers come, with one at that rate whatever the answers do."""

    name: str
    kind: str
    rate: float | None = None


QUESTIONS: Final = (
    *(Question(kind, kind) for kind in ("get", "list", "search", "post", "patch")),
    Question("mix 250/s", "mix", 250),
    Question("mix 1000/s", "mix", 1000),
)


@dataclass(frozen=True, kw_only=True)
class Plan:
    """How much is measured."""

    questions: Sequence[Question] = QUESTIONS
    rounds: int = ROUNDS
    scale: float = 1.0
    """Factor on the length of every measurement."""


@dataclass
class Figures:
    """What one question costs one system; each list has one entry a round, times are milliseconds."""

    cpu: list[dict[str, float]] = field(default_factory=list)
    per_second: list[float] = field(default_factory=list)
    p50: list[float] = field(default_factory=list)
    p95: list[float] = field(default_factory=list)
    p99: list[float] = field(default_factory=list)
    failures: int = 0

    def note(self, outcome: Outcome, used: dict[str, float]) -> None:
        """Keep what came out of one round."""
        self.cpu.append(used)
        self.per_second.append(outcome.answered / outcome.seconds)
        self.p50.append(outcome.percentile(50))
        self.p95.append(outcome.percentile(95))
        self.p99.append(outcome.percentile(99))
        self.failures += outcome.failures.total()


def part(cpu_of_rounds: Iterable[Mapping[str, float]], name: str) -> float:
    """Return the median CPU microseconds of one meter."""
    return median(each[name] for each in cpu_of_rounds)


def total(cpu_of_rounds: Iterable[Mapping[str, float]]) -> float:
    """Return the median of the rounds' sums: what a request costs."""
    return median(sum(each[name] for name in PARTS) for each in cpu_of_rounds)


@dataclass
class Results:
    """Figures by system and question, memory in MiB at the end, and the machine's own speed through the run."""

    figures: dict[str, dict[str, Figures]]
    memory: dict[str, dict[str, float]] = field(default_factory=dict)
    calibration: list[float] = field(default_factory=list)


async def measure(targets: Sequence[Target], plan: Plan) -> Results:
    """Measure all systems, in turns."""
    results = Results({target.name: {each.name: Figures() for each in _asked(target, plan)} for target in targets})
    generators = {target.name: Generator(target.host, target.port) for target in targets}
    gc.freeze()  # a walk through what the bench imported would be a pause in somebody's latency
    for _ in range(plan.rounds):
        for question in plan.questions:
            results.calibration.append(calibrate())
            for target in targets:
                if (figures := results.figures[target.name].get(question.name)) is not None:
                    await _settle(target)
                    await _ask(target, generators[target.name], question, plan.scale, figures)
    results.memory = {target.name: {name: read() for name, read in target.memory.items()} for target in targets if target.memory}
    for generator in generators.values():
        generator.close()
    return results


def _asked(target: Target, plan: Plan) -> list[Question]:
    return [each for each in plan.questions if not target.asked or each.name in target.asked]


async def _settle(target: Target) -> None:
    """Wait until the system has done what it was asked before, so that no measurement pays for another."""
    for _ in range(SETTLE_LOOKS):
        before = cpu.read(target.meters)
        await asyncio.sleep(SETTLE_SECONDS)
        after = cpu.read(target.meters)
        if sum(after[name] - before[name] for name in PARTS) < SETTLE_SECONDS * IDLE_SHARE:
            return


async def _ask(target: Target, generator: Generator, question: Question, scale: float, figures: Figures) -> None:
    requests = target.requests.stream(question.kind)
    if question.rate is None:
        await generator.closed_loop(requests, clients=CLIENTS, seconds=WARM_SECONDS)
        before = cpu.read(target.meters)
        outcome = await generator.closed_loop(requests, clients=CLIENTS, seconds=CLOSED_SECONDS * scale)
    else:
        seconds = OPEN_SECONDS * scale
        await generator.open_loop(requests, rate=question.rate / 2, seconds=WARM_SECONDS)
        ready = list(islice(requests, int(question.rate * seconds)))  # built before the clock runs
        before = cpu.read(target.meters)
        outcome = await generator.open_loop(iter(ready), rate=question.rate, seconds=seconds)
    figures.note(outcome, cpu.used(before, cpu.read(target.meters), outcome.answered))
