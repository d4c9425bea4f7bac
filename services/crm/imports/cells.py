"""What people and spreadsheets write into a cell, and what is meant."""

import re
from datetime import UTC, datetime
from typing import Final

from chassis import sheets

_TEXT_FORMULA: Final = re.compile(r'="((?:[^"]|"")*)"', re.DOTALL)
_NUMBER: Final = re.compile(r"[0-9]{1,3}(?:(?P<mark>[., '\u00a0\u202f])[0-9]{3})(?:(?P=mark)[0-9]{3})*|[0-9]+")
_SEVERAL: Final = re.compile(r"\s*[;\n|]\s*|\s*,\s+|,")
_ALIGNED: Final = re.compile(r"\s*[;\n]\s*")
_NUMBERS: Final = re.compile(r"\s*[\n|]\s*|\s*;(?!\s*ext=)\s*", re.IGNORECASE)
_LINES: Final = re.compile(r"\r\n|\r|\n")


class CellError(ValueError):
    """The cell does not hold what its field needs; the text says what that is."""


def plain(cell: str) -> str:
    """Return the value of a cell: without the guards of spreadsheets; a formula has no value here and is refused."""
    cell = cell.strip()
    if cell.startswith("="):
        if found := _TEXT_FORMULA.fullmatch(cell):
            return found[1].replace('""', '"').strip()
        raise CellError("is a formula; save its value instead")
    return sheets.unguarded(cell)


def whole(cell: str, *, decimal_comma: bool) -> int:
    """Return a whole number, whatever stands between its thousands; decimals must be zeros."""
    mark = "," if decimal_comma else "."
    head, _, decimals = cell.rpartition(mark) if re.search(rf"{re.escape(mark)}0*$", cell) else (cell, "", "")
    bare = head or cell
    if decimals.strip("0") or not _NUMBER.fullmatch(bare):
        raise CellError("must be a whole number")
    number = int(re.sub(r"\D", "", bare))
    if number > 2**31 - 1:
        raise CellError("is too large a number")
    return number


def several(cell: str) -> list[str]:
    """Return the parts of a cell that holds several, with semicolons, commas, bars or line breaks between them; a quoted one whole."""
    return [part for part in sheets.separated(cell, _SEVERAL) if part]


def aligned(cell: str) -> list[str]:
    """Return the parts of a cell that says something about each part of another one, the empty ones too."""
    return sheets.separated(cell, _ALIGNED)


def numbers(cell: str) -> list[str]:
    """Return the phone numbers of a cell, with semicolons, bars or line breaks between them: commas and "ext" belong to a number."""
    return [part for part in sheets.separated(sheets.unguarded(cell), _NUMBERS) if part]


def lines(cell: str) -> list[str]:
    """Return the lines of an address."""
    return sheets.separated(cell, _LINES)


def moment(cell: str) -> datetime:
    """Return a date or time of ISO 8601; one that names no zone is in UTC."""
    try:
        found = datetime.fromisoformat(cell)
    except ValueError:
        raise CellError('must be a date or time such as "2026-01-31" or "2026-01-31T09:30:00Z"') from None
    return found if found.tzinfo else found.replace(tzinfo=UTC)
