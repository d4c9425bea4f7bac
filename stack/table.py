"""What `kith up` and `kith status` show to people."""

from collections.abc import Sequence
from typing import Final

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from stack.demo.account import Demo
from stack.doctor import Finding
from stack.state import Running, State

COLOURS: Final = {"ready": "green", "starting": "yellow", "stopping": "yellow", "stopped": "red"}


def show_platform(console: Console, state: State) -> None:
    """Print one line for each process, and where the platform is reached."""
    table = Table("service", "address", "ready in", "restarts", "state", box=None, header_style="bold", pad_edge=False)
    for name, running in state.processes.items():
        table.add_row(name, running.address, _ready_in(running), str(running.restarts or ""), _phase(running))
    console.print(table)
    console.print(f"\nKith is at [bold]{escape(state.url)}[/bold]", highlight=False)


def show_demo(console: Console, demo: Demo) -> None:
    """Print who may sign in to the demo organisation."""
    console.print(
        f"Demo organisation [bold]{escape(demo.organisation)}[/bold], password [bold]{escape(demo.password)}[/bold]", highlight=False
    )
    table = Table("role", "sign in as", box=None, header_style="bold", pad_edge=False)
    for member in demo.members:
        table.add_row(member.role.replace("_", " "), member.email)
    console.print(table)


def show_findings(console: Console, findings: Sequence[Finding]) -> None:
    """Print what the doctor saw, and what to do about it."""
    table = Table("", "what", "seen", "fix", box=None, header_style="bold", pad_edge=False)
    for finding in findings:
        mark = "[red]![/]" if finding.fix else "[green]✓[/]"
        table.add_row(mark, finding.subject, escape(finding.seen), escape(finding.fix))
    console.print(table)


def _ready_in(running: Running) -> str:
    return "" if running.ready_seconds is None else f"{running.ready_seconds:.1f} s"


def _phase(running: Running) -> str:
    phase = "gone" if running.id and not running.id.process() else running.phase
    return f"[{COLOURS.get(phase, 'red')}]{escape(phase)}[/]"
