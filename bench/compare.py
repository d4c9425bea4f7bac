"""`python -m bench.compare A B`: what two runs of the bench say, side by side, and how many times the second is the first.

The machine's own speed is told first: a ratio of figures means little where that of the calibration is far from 1.
"""

import argparse
import json
from pathlib import Path
from statistics import median
from typing import Any, Final

from rich.console import Console
from rich.table import Table

from bench.measure import total

HEADINGS: Final = ("asked", "system", "CPU us A", "B", "B / A", "per s A", "B", "p99 ms A", "B", "B / A")


def show(console: Console, first: dict[str, Any], second: dict[str, Any]) -> None:
    """Print one row for everything that both runs asked."""
    speeds = [median(run["calibration"]) for run in (first, second)]
    console.print(f"A {first['commit']} {first['time']}, B {second['commit']} {second['time']}")
    console.print(f"calibration: {speeds[0]:.1f} and {speeds[1]:.1f} ms, B / A {speeds[1] / speeds[0]:.2f}")
    table = Table()
    for heading in HEADINGS:
        table.add_column(heading, justify="left" if heading in {"asked", "system"} else "right", no_wrap=True)
    for system, asked in first["figures"].items():
        for question, one in asked.items():
            if (other := second["figures"].get(system, {}).get(question)) is not None:
                table.add_row(question, system, *_row(one, other))
    console.print(table)


def _row(first: dict[str, Any], second: dict[str, Any]) -> list[str]:
    costs = [total(each["cpu"]) for each in (first, second)]
    rates = [median(each["per_second"]) for each in (first, second)]
    slowest = [median(each["p99"]) for each in (first, second)]
    return [
        *(f"{cost:.0f}" for cost in costs),
        f"{costs[1] / costs[0]:.2f}",
        *(f"{rate:.0f}" for rate in rates),
        *(f"{each:.1f}" for each in slowest),
        f"{slowest[1] / slowest[0]:.2f}",
    ]


def main() -> None:
    """Read both files and show them."""
    parser = argparse.ArgumentParser(prog="python -m bench.compare", description=__doc__)
    parser.add_argument("files", type=Path, nargs=2, metavar="FILE", help="a file of bench/results")
    first, second = (json.loads(file.read_text()) for file in parser.parse_args().files)
    show(Console(width=130), first, second)


if __name__ == "__main__":
    main()
