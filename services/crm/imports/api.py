"""ImportService: message in, message out."""

from collections.abc import AsyncIterator
from typing import Final

from google.api.httpbody_pb2 import HttpBody
from grpc.aio import ServicerContext

from chassis import ids, sheets
from chassis.database import unit_of_work
from chassis.errors import FailedPrecondition, NotFound, Violation, raise_for
from chassis.errors import Reason as Common
from chassis.listing import Ask
from kith.crm.v1.imports_pb2 import (
    CancelImportRequest,
    GetImportErrorsRequest,
    GetImportRequest,
    Import,
    ImportCompanies,
    ImportDuplicates,
    ImportMode,
    ImportState,
    ListImportsRequest,
    ListImportsResponse,
    RereadImportRequest,
    StartImportRequest,
    UploadImportRequest,
)
from kith.crm.v1.imports_pb2_grpc import ImportServiceServicer
from kith.crm.v1.parts_pb2 import RecordKind
from services.crm.imports import actions, columns, reading, store, uploading
from services.crm.reasons import Reason
from services.crm.records import permissions
from services.crm.runs import actions as runs

ERRORS: Final = 500
"""Failed rows that are read at once for the error file."""


class ImportService(ImportServiceServicer):
    """Brings records in from CSV files."""

    async def UploadImport(
        self, request_iterator: AsyncIterator[UploadImportRequest], context: ServicerContext[UploadImportRequest, Import]
    ) -> Import:
        """Take a file."""
        return await uploading.receive(request_iterator)

    async def GetImport(self, request: GetImportRequest, context: ServicerContext[GetImportRequest, Import]) -> Import:
        """Return one import."""
        async with unit_of_work() as work:
            return _there(await store.STORE.show(work, ids.parse(request.id)))

    async def ListImports(
        self, request: ListImportsRequest, context: ServicerContext[ListImportsRequest, ListImportsResponse]
    ) -> ListImportsResponse:
        """Return one page."""
        async with unit_of_work() as work:
            return store.PAGES.answer(await store.LISTING.page(work, Ask.of(request)))

    async def RereadImport(self, request: RereadImportRequest, context: ServicerContext[RereadImportRequest, Import]) -> Import:
        """Read a file anew that was read wrongly."""
        return await reading.reread(request)

    async def StartImport(self, request: StartImportRequest, context: ServicerContext[StartImportRequest, Import]) -> Import:
        """Let an import run, behind the call."""
        async with unit_of_work() as work:
            current = await actions.locked(work, ids.parse(request.id))
            permissions.must_write(work.caller, current.kind)
            if current.state != ImportState.IMPORT_STATE_READY:
                raise FailedPrecondition(Reason.IMPORT_STATE, "only an import that is ready can be started")
            _configure(current, request)
            actions.must_run(work.caller, current)
            current.change_set_id = ids.new()
            state = ImportState.IMPORT_STATE_VALIDATING if request.validate_only else ImportState.IMPORT_STATE_RUNNING
            await store.drop_errors(work, current.id)
            await actions.step(work, current, state)
            await runs.ask(work, actions.RUN, current.id)
            return work.answer(current)

    async def CancelImport(self, request: CancelImportRequest, context: ServicerContext[CancelImportRequest, Import]) -> Import:
        """Stop an import and undo it; one that did not run yet is cancelled at once."""
        async with unit_of_work() as work:
            current = await actions.locked(work, ids.parse(request.id))
            actions.must_write(work.caller, current)
            if current.state in actions.RUNNING:
                await actions.step(work, current, ImportState.IMPORT_STATE_CANCELLING)
            elif current.state == ImportState.IMPORT_STATE_READY:
                await actions.end(work, current, ImportState.IMPORT_STATE_CANCELLED)
            elif current.state not in (ImportState.IMPORT_STATE_CANCELLING, ImportState.IMPORT_STATE_CANCELLED):
                raise FailedPrecondition(Reason.IMPORT_STATE, "the import has ended; revert its change set instead")
            return work.answer(current)

    async def GetImportErrors(
        self, request: GetImportErrorsRequest, context: ServicerContext[GetImportErrorsRequest, HttpBody]
    ) -> AsyncIterator[HttpBody]:
        """Yield the rows that failed as a CSV file."""
        async with unit_of_work() as work:
            current = _there(await store.STORE.get(work, ids.parse(request.id)))
        headers = ["line", "problem", *(column.header for column in current.columns)]
        yield HttpBody(content_type=sheets.CONTENT_TYPE, data=sheets.lines([headers]))
        behind = 0
        while True:
            async with unit_of_work() as work:
                failed = await store.errors_behind(work, current.id, behind, ERRORS)
            if not failed:
                return
            rows = ([str(each.line.line), each.problem, *each.line.cells] for each in failed)
            yield HttpBody(content_type=sheets.CONTENT_TYPE, data=sheets.lines(rows))
            behind = failed[-1].line.number


def _there(current: Import | None) -> Import:
    if current is None:
        raise NotFound(Common.NOT_FOUND, "no such import", resource="import")
    return current


def _configure(current: Import, request: StartImportRequest) -> None:
    """Take over how the import shall run; refuse what cannot be."""
    fields = list(request.fields) or [column.field for column in current.columns]
    raise_for(_check(current, request, fields))
    for column, field in zip(current.columns, fields, strict=True):
        column.field = field
    current.mode = request.mode or ImportMode.IMPORT_MODE_ROWS
    current.duplicates = request.duplicates or ImportDuplicates.IMPORT_DUPLICATES_SKIP
    current.companies = request.companies or ImportCompanies.IMPORT_COMPANIES_MATCH
    current.problem = ""
    current.ClearField("report")
    if request.validate_only:
        current.ClearField("preview")


def _check(current: Import, request: StartImportRequest, fields: list[str]) -> list[Violation]:
    found = [] if len(fields) == len(current.columns) else [Violation("fields", f"must be {len(current.columns)}, one for each column")]
    known = columns.FIELDS[current.kind]
    for index, field in enumerate(fields):
        if field and field not in known:
            found.append(Violation(f"fields[{index}]", f"must be one of {', '.join(known)}"))
        elif field and field not in columns.REPEATED and field in fields[:index]:
            found.append(Violation(f"fields[{index}]", "is the field of an earlier column already"))
    if not any(fields):
        found.append(Violation("fields", "must name the field of one column at least"))
    if request.mode not in ImportMode.values():
        found.append(Violation("mode", "is no mode"))
    if request.duplicates not in ImportDuplicates.values():
        found.append(Violation("duplicates", "is no way to treat duplicates"))
    if request.companies not in ImportCompanies.values():
        found.append(Violation("companies", "is no way to treat companies"))
    elif request.companies and current.kind != RecordKind.RECORD_KIND_CONTACT:
        found.append(Violation("companies", "is for imports of contacts"))
    return found
