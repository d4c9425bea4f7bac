"""Cells of the CSV files that we write, and how they are read again: no spreadsheet takes one for a formula, and nothing is lost."""

import csv
import io
import re
from collections.abc import Iterable, Sequence
from typing import Final

CONTENT_TYPE: Final = "text/csv; charset=utf-8"
BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"
BETWEEN: Final = "; "
"""What stands between the entries of a list in one cell."""
BETWEEN_LINES: Final = "\n"
"""What stands between the lines of an address."""

_FORMULA: Final = "=+-@\t\r\n\uff1d\uff0b\uff0d\uff20"
"""What a formula begins with (OWASP, CSV Injection), in the full width of East Asian keyboards too."""
_SUSPICIOUS: Final = frozenset(_FORMULA + "'")
_TO_GUARD: Final = re.compile(f"'*[{re.escape(_FORMULA)}]")
_GUARD: Final = re.compile(f"'(?='*[{re.escape(_FORMULA)}])")
_QUOTED: Final = re.compile(r'"((?:[^"]|"")*)"')
_ODD: Final = {
    BETWEEN: re.compile(r'[;,|"\r\n]|^\s|\s$'),
    BETWEEN_LINES: re.compile(r'["\r\n]|^\s|\s$'),
}


def safe(cell: str) -> str:
    """Return the cell with an apostrophe before what would be a formula, or would look as if it had been guarded already."""
    return f"'{cell}" if cell[:1] in _SUSPICIOUS and _TO_GUARD.match(cell) else cell


def unguarded(cell: str) -> str:
    """Return the cell that `safe` made this one of; one that it did not make stays as it is."""
    return cell[1:] if _GUARD.match(cell) else cell


def lines(rows: Iterable[Sequence[str]]) -> bytes:
    """Return rows as lines of a CSV file (RFC 4180)."""
    text = io.StringIO(newline="")
    csv.writer(text).writerows([safe(cell) for cell in row] for row in rows)
    return text.getvalue().encode("utf-8", "replace")


def joined(entries: Sequence[str], between: str = BETWEEN) -> str:
    """Return the cell of a list; an entry that holds what separates others is quoted."""
    if not any(entries):
        return ""
    odd = _ODD[between]
    return between.join(_quoted(entry) if odd.search(entry) else entry for entry in entries)


def _quoted(entry: str) -> str:
    doubled = entry.replace('"', '""')
    return f'"{doubled}"'


def separated(cell: str, between: re.Pattern[str]) -> list[str]:
    """Return the entries of a cell, with what `between` matches between them; quoted ones as they were before."""
    found: list[str] = []
    place = 0
    while place <= len(cell):
        entry, end = _entry(cell, place, between)
        found.append(entry)
        separator = between.match(cell, end)
        place = separator.end() if separator else len(cell) + 1
    return found


def _entry(cell: str, start: int, between: re.Pattern[str]) -> tuple[str, int]:
    """Return the entry that begins at a place, and where it ends."""
    space = len(cell) - len(cell[start:].lstrip(" "))
    quoted = _QUOTED.match(cell, space)
    if quoted:
        behind = len(cell) - len(cell[quoted.end() :].lstrip(" "))
        if behind == len(cell) or between.match(cell, behind):
            return quoted[1].replace('""', '"'), behind
    separator = between.search(cell, start)
    end = separator.start() if separator else len(cell)
    return cell[start:end].strip(), end
