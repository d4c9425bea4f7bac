"""`python -m bench.run`: start both systems, measure them in turns, print one table, write one file, stop."""

import argparse
import tempfile
from pathlib import Path
from typing import Final

import uvloop
from rich.console import Console

from bench import kith, monolith, report
from bench.measure import ROUNDS, measure
from stack import ports

WIDTH: Final = 110


async def main(rounds: int) -> None:
    """Run the whole bench; it stops by itself."""
    console = Console(width=WIDTH)
    with tempfile.TemporaryDirectory(prefix="kith-bench-") as folder:
        data = Path(folder)
        console.print("starting")
        async with kith.started(data) as platform:
            port = ports.settle("127.0.0.1", {"monolith": 0})[0]["monolith"]
            log = data / "monolith.log"
            async with monolith.running(platform.wiring.admin_dsn(), kith.postmaster(platform), port, log) as rival:
                targets = [await kith.target(platform), rival]
                console.print("measuring")
                results = await measure(targets, rounds=rounds)
    report.show(console, targets, results)
    console.print(f"written to {report.save(results)}")


def _rounds() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.run", description=__doc__)
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="rounds whose medians are shown")
    return int(parser.parse_args().rounds)


if __name__ == "__main__":
    uvloop.run(main(_rounds()))
