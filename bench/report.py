"""The figures as one table for people and one file for programs."""

import json
import subprocess
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Final

import psutil
from rich.console import Console
from rich.table import Table

from bench.measure import KINDS, RATES, Cost, Results
from bench.target import Target

FOLDER: Final = Path(__file__).resolve().parent / "results"
PARTS: Final = ("edge", "service", "database", "other", "generator")


def show(console: Console, targets: Sequence[Target], results: Results) -> None:
    """Print one row a system and question: CPU by process, then requests per second or latencies."""
    table = Table(title="CPU microseconds per request (medians)", title_justify="left")
    for heading in ("asked", "system", "total", *PARTS, "per s", "failed", "ratio"):
        table.add_column(heading, justify="left" if heading in {"asked", "system"} else "right", no_wrap=True)
    for kind in KINDS:
        costs = [results.figures[target.name].costs[kind] for target in targets]
        first = costs[0].total(targets[0].counted)
        for target, cost in zip(targets, costs, strict=True):
            table.add_row(kind, target.name, *_cost(cost, target), f"{cost.total(target.counted) / first:.1f}")
        table.add_section()
    console.print(table)
    console.print(_latencies(targets, results))
    console.print(f"calibration: {median(results.calibration):.1f} ms of CPU for the fixed piece of work ({psutil.cpu_count()} cores)")


def _cost(cost: Cost, target: Target) -> list[str]:
    parts = [f"{cost.part(name):.0f}" for name in PARTS]
    return [f"{cost.total(target.counted):.0f}", *parts, f"{median(cost.per_second):.0f}", str(cost.failures)]


def _latencies(targets: Sequence[Target], results: Results) -> Table:
    table = Table(title="Latency of the mix at a fixed rate, milliseconds (medians)", title_justify="left")
    for heading in ("rate", "system", "p50", "p95", "p99", "answered/s", "failed"):
        table.add_column(heading, justify="left" if heading in {"rate", "system"} else "right")
    for rate in RATES:
        for target in targets:
            latency = results.figures[target.name].latencies[rate]
            times = [f"{median(values):.1f}" for values in (latency.p50, latency.p95, latency.p99)]
            table.add_row(f"{rate}/s", target.name, *times, f"{median(latency.answered_per_second):.0f}", str(latency.failures))
        table.add_section()
    return table


def save(results: Results) -> Path:
    """Write the figures with the commit that they are of; return the file."""
    FOLDER.mkdir(exist_ok=True)
    now = datetime.now(UTC)
    commit = _git("rev-parse", "--short", "HEAD") + ("+" if _git("status", "--porcelain") else "")
    file = FOLDER / f"{now:%Y%m%dT%H%M%SZ}-{commit}.json"
    file.write_text(json.dumps({"commit": commit, "time": now.isoformat(), "cores": psutil.cpu_count(), **asdict(results)}, indent=1))
    return file


def _git(*arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=FOLDER.parent, capture_output=True, text=True, check=True).stdout.strip()
