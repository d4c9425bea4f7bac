"""The rows of a file, one after the other, whatever stands in its cells: little of it is ever in memory."""

import csv
import io
import re
from collections.abc import Iterator
from typing import BinaryIO, Final, NamedTuple

from services.crm.imports import rules
from services.crm.imports.failure import FileError

_SAID: Final = re.compile(r"sep=.\r?\n?")


class Line(NamedTuple):
    """A row with the line of the file that it begins on, both counted from 1; the header has no number."""

    number: int
    line: int
    cells: list[str]


def lines(file: BinaryIO, encoding: str, delimiter: str, *, has_header: bool) -> Iterator[Line]:
    """Yield the rows of a file that are not blank, the header apart. Raises FileError with the line where it cannot go on."""
    reading = _Reading(io.TextIOWrapper(file, encoding=encoding, newline=""))
    rows = csv.reader(reading, delimiter=delimiter)
    number, begins, headers = 0, 1, int(has_header)
    try:
        for cells in rows:
            if any(cell.strip() for cell in cells):
                if headers:
                    headers -= 1
                else:
                    number += 1
                    yield Line(_counted(number), begins + reading.skipped, cells)
            begins = rows.line_num + 1
    except csv.Error as error:
        raise FileError(f"line {begins + reading.skipped}: {error}; is a quotation mark left open?") from None
    except UnicodeError:
        raise FileError(f"line {rows.line_num + reading.skipped} or soon after it holds what is no {encoding}") from None


def _counted(number: int) -> int:
    if number > rules.MOST_ROWS:
        raise FileError(f"the file has more than {rules.MOST_ROWS:,} rows")
    return number


class _Reading(Iterator[str]):
    """Lines of a text, none of them endless, without the one that only names the delimiter."""

    def __init__(self, text: io.TextIOWrapper) -> None:
        self._text = text
        self._first = True
        self.skipped = 0

    def __next__(self) -> str:
        line = self._text.readline(rules.LINE_LENGTH)
        if len(line) >= rules.LINE_LENGTH:
            raise csv.Error(f"longer than {rules.LINE_LENGTH:,} characters")
        if self._first:
            self._first = False
            if _SAID.fullmatch(line):
                self.skipped = 1
                return next(self)
        if not line:
            raise StopIteration
        return line
