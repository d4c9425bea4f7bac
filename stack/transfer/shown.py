"""What `kith import` shows to people."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from rich.console import Console
from rich.markup import escape
from rich.table import Table

COUNTS: Final = {
    "doneCount": "rows",
    "createdCount": "created",
    "updatedCount": "updated",
    "skippedCount": "skipped",
    "failedCount": "failed",
}
COMPANIES: Final = "createdCompanyCount"
_DELIMITERS: Final = {"\t": "tabs", ",": "commas", ";": "semicolons", "|": "bars"}


def detected(console: Console, file: Path, found: Mapping[str, Any]) -> None:
    """Print how the file is read, and what its columns become."""
    delimiter = _DELIMITERS.get(found["delimiter"], found["delimiter"])
    header = "with a header" if found["hasHeader"] else "without a header"
    console.print(f"{escape(file.name)}: {found['encoding']}, {delimiter} between columns, {header}.")
    table = Table("column", "becomes", box=None, header_style="bold", pad_edge=False)
    for column in found["columns"]:
        table.add_row(escape(column["header"]), escape(column["field"]) or "[dim]left out[/dim]")
    console.print(table)


def report(console: Console, counts: Mapping[str, int], *, dry_run: bool) -> None:
    """Print what became of the rows, or would."""
    table = Table(*COUNTS.values(), box=None, header_style="bold", pad_edge=False)
    table.add_row(*(f"{counts[name]:,}" for name in COUNTS))
    console.print(table)
    if created := counts[COMPANIES]:
        console.print(f"Companies created for contacts: {created:,}.")
    if dry_run:
        console.print("A dry run: nothing was kept.")
