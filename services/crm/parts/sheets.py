"""Cells of the CSV files that we write: a spreadsheet must take none of them for a formula (CWE-1236)."""

import csv
import io
from collections.abc import Iterable, Sequence
from typing import Final

CONTENT_TYPE: Final = "text/csv; charset=utf-8"
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")


def safe(cell: str) -> str:
    """Return the cell with an apostrophe before what would be a formula; our imports take it away again."""
    return f"'{cell}" if cell.startswith(_FORMULA) else cell


def lines(rows: Iterable[Sequence[str]]) -> bytes:
    """Return rows as lines of a CSV file (RFC 4180)."""
    text = io.StringIO(newline="")
    csv.writer(text).writerows([safe(cell) for cell in row] for row in rows)
    return text.getvalue().encode("utf-8", "replace")
