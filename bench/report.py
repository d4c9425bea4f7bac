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

from bench.measure import Figures, Results, part, total
from bench.target import PARTS

FOLDER: Final = Path(__file__).resolve().parent / "results"
KEPT: Final = 20
"""Files at the most; the oldest go. One that shall stay is committed under another folder."""
SHOWN: Final = (*PARTS, "other", "generator")
HEADINGS: Final = ("asked", "system", "CPU", *SHOWN, "per s", "p50", "p95", "p99", "failed", "ratio")


def show(console: Console, results: Results) -> None:
    """Print one row a question and system: CPU microseconds a request by process, requests a second, milliseconds; then memory."""
    table = Table(title="CPU microseconds a request, milliseconds, MiB (medians of the rounds)", title_justify="left")
    for heading in HEADINGS:
        table.add_column(heading, justify="left" if heading in {"asked", "system"} else "right", no_wrap=True)
    for question in _questions(results):
        _add_question(table, results, question)
    for system, sizes in results.memory.items():
        table.add_row("memory", system, f"{sum(sizes.get(name, 0) for name in PARTS):.0f}", *(_size(sizes, name) for name in SHOWN))
    console.print(table)
    speed = median(results.calibration)
    console.print(f"calibration: {speed:.1f} ms of CPU for the fixed piece of work, {psutil.cpu_count()} cores, load included")


def _questions(results: Results) -> list[str]:
    return list(dict.fromkeys(question for asked in results.figures.values() for question in asked))


def _add_question(table: Table, results: Results, question: str) -> None:
    """Add the rows of a question. The ratio is the CPU of a system to that of the first."""
    first = next(asked[question] for asked in results.figures.values() if question in asked)
    for system, asked in results.figures.items():
        if (figures := asked.get(question)) is not None:
            ratio = total(figures.cpu) / total(first.cpu)
            table.add_row(question, system, *_row(figures), f"{ratio:.2f}")
    table.add_section()


def _row(figures: Figures) -> Sequence[str]:
    costs = [f"{total(figures.cpu):.0f}", *(f"{part(figures.cpu, name):.0f}" for name in SHOWN)]
    times = [f"{median(values):.1f}" for values in (figures.p50, figures.p95, figures.p99)]
    return [*costs, f"{median(figures.per_second):.0f}", *times, str(figures.failures)]


def _size(sizes: dict[str, float], name: str) -> str:
    return f"{sizes[name]:.0f}" if name in sizes else ""


def save(results: Results) -> Path:
    """Write the figures with the commit that they are of; return the file."""
    FOLDER.mkdir(exist_ok=True)
    now = datetime.now(UTC)
    commit = _git("rev-parse", "--short", "HEAD") + ("+" if _git("status", "--porcelain", "--untracked-files=no") else "")
    file = FOLDER / f"{now:%Y%m%dT%H%M%SZ}-{commit}.json"
    said = {"commit": commit, "time": now.isoformat(timespec="seconds"), "cores": psutil.cpu_count(), **_rounded(asdict(results))}
    file.write_text(json.dumps(said, indent=1))
    for old in sorted(FOLDER.glob("*.json"))[:-KEPT]:
        old.unlink()
    return file


def _rounded(value: dict[str, object]) -> dict[str, object]:
    """Return the figures with two decimals: nobody needs more, and files stay small."""
    rounded: dict[str, object] = json.loads(json.dumps(value), parse_float=lambda text: round(float(text), 2))
    return rounded


def _git(*arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=FOLDER.parent, capture_output=True, text=True, check=True).stdout.strip()
