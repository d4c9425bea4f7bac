"""How a file is read: what was found in it becomes the import's, and where that is wrong, somebody says it better."""

import codecs
from collections.abc import Iterator
from typing import Final

from chassis import ids
from chassis.database import UnitOfWork, unit_of_work
from chassis.errors import FailedPrecondition, InvalidArgument, Violation, raise_for
from chassis.errors import Reason as Common
from kith.crm.v1.imports_pb2 import Import, ImportColumn, ImportEncoding, ImportState, RereadImportRequest
from services.crm.imports import actions, columns, rules, store
from services.crm.imports.failure import EncodingError, FileError
from services.crm.imports.sniff import Said, Sheet, Sniffer
from services.crm.reasons import Reason

_PREFIX: Final = "IMPORT_ENCODING_"
CODECS: Final = {
    value.number: codecs.lookup(value.name.removeprefix(_PREFIX).replace("_", "-")).name
    for value in ImportEncoding.DESCRIPTOR.values
    if value.number
}
"""The codec of each encoding: Python knows them by the names that the contract gives them."""
_NO_DELIMITERS: Final = frozenset('"\r\n\0')


def take_over(current: Import, sheet: Sheet) -> None:
    """Give an import what was found in its file."""
    current.encoding, current.delimiter, current.has_header = sheet.encoding, sheet.delimiter, sheet.has_header
    fields = columns.propose(current.kind, sheet.headers, sheet.samples)
    del current.columns[:]
    current.columns.extend(
        ImportColumn(header=header.replace("\0", "")[: rules.NAME_LENGTH], field=field)
        for header, field in zip(sheet.headers, fields, strict=True)
    )


async def reread(request: RereadImportRequest) -> Import:
    """Read the file of an import as somebody says, and return what was found in it then."""
    raise_for(_check(request))
    async with unit_of_work() as work:
        current = await actions.locked(work, ids.parse(request.id))
        actions.must_write(work.caller, current)
        if current.state != ImportState.IMPORT_STATE_READY:
            raise FailedPrecondition(Reason.IMPORT_STATE, "only the file of an import that is ready can be read anew")
        take_over(current, await _look(work, current.id, _said(request)))
        await _forget_rows(work, current)
        await actions.step(work, current, ImportState.IMPORT_STATE_READY)
        return work.answer(current)


def _check(request: RereadImportRequest) -> Iterator[Violation]:
    if request.encoding not in ImportEncoding.values():
        yield Violation("encoding", "is no encoding")
    if len(request.delimiter) > 1 or request.delimiter in _NO_DELIMITERS:
        yield Violation("delimiter", "must be one character, but no quotation mark and no line break")


def _said(request: RereadImportRequest) -> Said:
    has_header = request.has_header if request.HasField("has_header") else None
    return Said(CODECS.get(request.encoding, ""), request.delimiter, has_header)


async def _look(work: UnitOfWork, import_id: str, said: Said) -> Sheet:
    """Look at the whole file, piece by piece. Refuses what cannot be read so."""
    sniffer = Sniffer(said)
    number = 0
    try:
        while (data := await store.chunk(work, import_id, number)) is not None:
            sniffer.feed(data)
            number += 1
        return sniffer.sheet()
    except EncodingError as error:
        raise InvalidArgument(Common.FIELD_INVALID, f"encoding: {error}", fields=[Violation("encoding", str(error))]) from None
    except FileError as error:
        raise InvalidArgument(Reason.IMPORT_FILE_REFUSED, str(error)) from None


async def _forget_rows(work: UnitOfWork, current: Import) -> None:
    """Forget what a dry run made of the file as it was read before."""
    current.row_count = 0
    current.ClearField("preview")
    await store.drop_rows(work, current.id)
    await store.drop_errors(work, current.id)
