"""`python -m bench.run`: start both systems, measure them in turns, print one table, write one file, stop.

Beside Kith and the monolith stand variants of Kith itself (bench/variants.py). A run of parts is as good as a whole one:
`--only get,list --systems Kith`, `--rounds 1`, `--scale 0.5` make it shorter.
"""

import argparse
import tempfile
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Final

import uvloop
from rich.console import Console

from bench import kith, monolith, report, variants
from bench.measure import QUESTIONS, ROUNDS, Plan, measure
from bench.target import Target
from stack import ports
from stack.launch import Platform

WIDTH: Final = 150
SYSTEMS: Final = (kith.NAME, monolith.NAME, *(variant.name for variant in variants.VARIANTS))


async def main(plan: Plan, systems: frozenset[str]) -> None:
    """Run the whole bench; it stops by itself."""
    console = Console(width=WIDTH)
    with tempfile.TemporaryDirectory(prefix="kith-bench-") as folder:
        data = Path(folder)
        console.print("starting")
        async with AsyncExitStack() as stack:
            platform = await stack.enter_async_context(kith.started(data))
            targets = await _targets(stack, platform, systems, data)
            console.print("measuring")
            results = await measure(targets, plan)
    report.show(console, results)
    console.print(f"written to {report.save(results)}")


async def _targets(stack: AsyncExitStack, platform: Platform, systems: frozenset[str], data: Path) -> list[Target]:
    targets = [await kith.target(platform)]
    for variant in variants.VARIANTS:
        if variant.name in systems:
            targets.append(await stack.enter_async_context(variants.running(platform, targets[0], variant, data)))
    if monolith.NAME in systems:
        port = ports.settle("127.0.0.1", {monolith.NAME: 0})[0][monolith.NAME]
        rival = monolith.running(platform.wiring.admin_dsn(), kith.postmaster(platform), port, data / "monolith.log")
        targets.append(await stack.enter_async_context(rival))
    return targets


def _arguments() -> tuple[Plan, frozenset[str]]:
    parser = argparse.ArgumentParser(prog="python -m bench.run", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    names = [question.name for question in QUESTIONS]
    parser.add_argument("--only", type=_several(names), default=frozenset(names), metavar="NAMES", help=f"of {', '.join(names)}")
    parser.add_argument(
        "--systems",
        type=_several(SYSTEMS),
        default=frozenset(SYSTEMS),
        metavar="NAMES",
        help=f"of {', '.join(SYSTEMS)}; Kith is always one",
    )
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="rounds whose medians are shown")
    parser.add_argument("--scale", type=float, default=1.0, help="factor on the length of every measurement")
    given = parser.parse_args()
    questions = [question for question in QUESTIONS if question.name in given.only]
    return Plan(questions=questions, rounds=given.rounds, scale=given.scale), given.systems


def _several(known: Sequence[str]) -> Callable[[str], frozenset[str]]:
    """Return what reads names with commas between them; one that begins several names means all of these."""

    def read(text: str) -> frozenset[str]:
        chosen = frozenset(name for name in known if any(name.startswith(part.strip()) for part in text.split(",")))
        if not chosen:
            raise argparse.ArgumentTypeError(f"none of {', '.join(known)}")
        return chosen

    return read


if __name__ == "__main__":
    uvloop.run(main(*_arguments()))
