"""From the cells of a row to a record, or to what is wrong with them.

In the event loop, giving way to calls: beside a thread, each of them would wait 5 ms for the interpreter's lock.
"""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from chassis import turns
from chassis.errors import Violation
from kith.crm.v1.companies_pb2 import Company
from kith.crm.v1.imports_pb2 import Import
from services.crm.imports import employers
from services.crm.imports.cells import CellError, plain
from services.crm.imports.columns import ABOUT_OTHERS, FIELDS, OF_COMPANIES, UNCOOKED
from services.crm.imports.sheet import Line
from services.crm.records.actions import Records


class Row(NamedTuple):
    """A row, and the record that it becomes; None with the problem where it becomes none. A contact's may name its company."""

    line: Line
    record: Any
    problem: str
    company: Company | None = None


class Parser:
    """Reads the rows of one import. `region` is where its phone numbers are read."""

    def __init__(self, current: Import, records: Records[Any], region: str) -> None:
        puts = FIELDS[current.kind]
        self._columns = [(column.header, column.field, puts.get(column.field)) for column in current.columns]
        self._order = sorted(range(len(self._columns)), key=lambda index: self._columns[index][1] in ABOUT_OTHERS)
        self._decimal_comma = current.delimiter == ";"
        self._records = records
        self._region = region

    async def rows(self, lines: Sequence[Line]) -> list[Row]:
        """Return the rows in the form in which their records are kept. What phones and emails are is remembered for the writing."""
        return await turns.mapped(self._row, lines)

    def _row(self, line: Line) -> Row:
        record, company = self._records.kind(), Company()
        problems = list(self._fill(record, company, line.cells))
        named = company if company.ByteSize() and not record.company_id else None
        if not problems:
            self._records.tidy(self._records.kind(), record, self._region)
            problems = said([*self._records.check(record), *(employers.problems(named) if named else ())])
        return Row(line, None, "; ".join(problems)) if problems else Row(line, record, "", named)

    def _fill(self, record: Any, company: Company, cells: Sequence[str]) -> Iterable[str]:
        if any(cell.strip() for cell in cells[len(self._columns) :]):
            yield f"has {len(cells)} cells, the file has {len(self._columns)} columns"
        for index in self._order:
            header, field, put = self._columns[index]
            cell = cells[index] if index < len(cells) else ""
            if put is None or not cell.strip():
                continue
            try:
                put(company if field in OF_COMPANIES else record, cell if field in UNCOOKED else plain(cell), self._decimal_comma)
            except (CellError, UnicodeError) as error:
                yield f"{header}: {error}"


def said(violations: Sequence[Violation]) -> list[str]:
    """Return violations as the error file says them."""
    return [f"{violation.field}: {violation.description}" for violation in violations]
