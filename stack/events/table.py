"""Dead letters as people read them: what, why, when, how often; never their content."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

from rich.console import Console
from rich.markup import escape
from rich.table import Column, Table

from stack.events.reach import Found

LINES: Final = 100  # letters shown; more are counted


def show_letters(console: Console, found: Sequence[Found]) -> None:
    """Print one line for each letter."""
    if not found:
        console.print("No dead letters.")
        return
    table = Table(
        *("service", Column("id", no_wrap=True, min_width=36), "type", "reason", "tries", "first", "last", ""),
        box=None,
        header_style="bold",
        pad_edge=False,
    )
    for each in found[:LINES]:
        letter = each.letter
        waits = "[yellow]is being replayed[/]" if letter.replay_at else ""
        table.add_row(
            each.service,
            escape(letter.id),
            escape(letter.type),
            f"[red]{escape(letter.reason)}[/]",
            str(letter.tries),
            _time(letter.first_at),
            _time(letter.last_at),
            waits,
        )
    console.print(table)
    if len(found) > LINES:
        console.print(f"and {len(found) - LINES} more")


def show_each(console: Console, found: Sequence[Found]) -> None:
    """Print everything that is known of letters, but not what they tell."""
    for each in found:
        letter = each.letter
        table = Table(box=None, show_header=False, pad_edge=False)
        said = {
            "service": each.service,
            "consumer": letter.consumer,
            "type": letter.type,
            "key": letter.key,
            "version": letter.headers.get("kith-version", ""),
            "organisation": letter.tenant_id,
            "reason": letter.reason,
            "tries": f"{letter.tries}, first {_time(letter.first_at)}, last {_time(letter.last_at)}",
            "is being replayed": f"since {_time(letter.replay_at)}" if letter.replay_at else "no",
            "message": f"{letter.id}, {letter.stream} {letter.sequence}",
            "happened": letter.headers.get("ce-time", ""),
            "actor": letter.headers.get("actor", ""),
            "trace": letter.headers.get("traceparent", ""),
        }
        for name, value in said.items():
            table.add_row(f"[bold]{name}[/]", escape(value))
        console.print(table)


def _time(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")
