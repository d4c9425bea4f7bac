"""How large a file may be, and that an import that is cancelled is gone, however far it was."""

import io
from collections.abc import Callable
from typing import Any, Final

import psycopg
import pytest

from kith.crm.v1 import contacts_pb2, imports_pb2
from kith.crm.v1.imports_pb2 import Import
from services.crm.imports import rules, sheet
from services.crm.imports.failure import FileError
from tests.conftest import AdminDsn, Person
from tests.service.crm.test_imports import Imports, imports, people, rows
from tests.unit.chassis.moving import eventually

__all__ = ["imports", "people"]

STAGED: Final = 100_000  # rows whose staging takes longer than asking whether it began
APPLIED: Final = 15_000  # the same for rows that become records
PIECE: Final = 1_000_000  # bytes of one message of the upload

MODES = [imports_pb2.IMPORT_MODE_ROWS, imports_pb2.IMPORT_MODE_ALL]
LEFT = """
SELECT (SELECT count(*) FROM import_rows WHERE tenant_id = %(t)s) + (SELECT count(*) FROM import_chunks WHERE tenant_id = %(t)s)
  + (SELECT count(*) FROM runs WHERE tenant_id = %(t)s AND kind = 'import') + (SELECT count(*) FROM search_tokens WHERE tenant_id = %(t)s)
  + (SELECT count(*) FROM contacts WHERE tenant_id = %(t)s AND delete_time IS NULL)
"""


@pytest.fixture
def counted(admin_dsn: AdminDsn, owner: Person) -> Callable[[str], int]:
    """`counted(query)` returns the one number that a query answers with for the organisation `t`."""

    def count(query: str) -> int:
        with psycopg.connect(admin_dsn("crm")) as connection:
            row = connection.execute(query.encode(), {"t": owner.tenant_id}).fetchone()
        assert row is not None
        return int(row[0])

    return count


async def cancelled(imports: Imports, import_id: str) -> Import:
    """Cancel an import, and return it when it has ended."""
    await imports.call.CancelImport(imports_pb2.CancelImportRequest(id=import_id))
    ended = await imports.end(import_id)
    assert ended.state == imports_pb2.IMPORT_STATE_CANCELLED
    return ended


@pytest.mark.parametrize("mode", MODES)
async def test_an_import_that_is_cancelled_while_it_is_staged_leaves_nothing(
    imports: Imports, counted: Callable[[str], int], mode: Any
) -> None:
    uploaded = await imports.upload("email\n" + "a@example.com\n" * STAGED, piece=PIECE)
    await imports.start(uploaded.id, mode=mode)
    await eventually(lambda: counted("SELECT count(*) FROM import_rows WHERE tenant_id = %(t)s") > 0)
    ended = await cancelled(imports, uploaded.id)
    assert (ended.row_count, ended.change_set_id) == (0, "")
    assert counted(LEFT) == 0


@pytest.mark.parametrize("mode", MODES)
async def test_an_import_that_is_cancelled_while_it_is_applied_leaves_nothing(
    imports: Imports, people: Any, contacts: Any, counted: Callable[[str], int], mode: Any
) -> None:
    uploaded = await imports.upload(rows(APPLIED), piece=PIECE)
    await imports.start(uploaded.id, mode=mode)

    async def applies() -> bool:
        return (await imports.get(uploaded.id)).report.done_count > 0

    await eventually(applies, pause=0.02)
    ended = await cancelled(imports, uploaded.id)
    assert ended.report.done_count < APPLIED
    assert not await people()
    assert counted(LEFT) == 0
    deleted = (await contacts.ListContacts(contacts_pb2.ListContactsRequest(show_deleted=True, page_size=1))).contacts
    kept = mode == imports_pb2.IMPORT_MODE_ROWS  # these were there, and can be restored
    assert (bool(deleted), bool(ended.change_set_id)) == (kept, kept)


def test_as_many_rows_are_read_as_a_spreadsheet_holds_and_not_one_more() -> None:
    reading = sheet.lines(io.BytesIO(b"a\n" * (rules.MOST_ROWS + 1)), "utf-8", ",", has_header=False)
    assert [next(reading).number for _ in range(rules.MOST_ROWS)][-1] == 1_048_576
    with pytest.raises(FileError, match="more than 1,048,576 rows"):
        next(reading)


@pytest.mark.full
async def test_the_largest_file_is_staged_and_one_row_more_is_refused_without_a_trace(
    imports: Imports, counted: Callable[[str], int]
) -> None:
    uploaded = await imports.upload("email\n" + "a@b.cc\n" * rules.MOST_ROWS, piece=PIECE)
    await imports.start(uploaded.id)

    async def staged() -> bool:
        return (await imports.get(uploaded.id)).row_count == rules.MOST_ROWS

    await eventually(staged, seconds=600, pause=0.1)
    await cancelled(imports, uploaded.id)
    assert counted(LEFT) == 0
    larger = await imports.run("email\n" + "a@b.cc\n" * (rules.MOST_ROWS + 1))
    assert (larger.state, larger.problem) == (imports_pb2.IMPORT_STATE_FAILED, "the file has more than 1,048,576 rows")
    assert (larger.row_count, larger.change_set_id) == (0, "")
    assert counted(LEFT) == 0
