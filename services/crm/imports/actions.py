"""The steps of an import's life, whoever takes them: each is a version of its row and an event."""

from typing import Final

from chassis.context import Caller
from chassis.database import UnitOfWork
from chassis.errors import NotFound
from chassis.errors import Reason as Common
from chassis.records import advance
from kith.crm.v1.events_pb2 import ImportUpdated
from kith.crm.v1.imports_pb2 import Import, ImportCompanies, ImportReport, ImportState
from kith.crm.v1.parts_pb2 import RecordKind
from services.crm.imports import rules, store
from services.crm.imports.columns import OF_COMPANIES
from services.crm.records import permissions
from services.crm.runs import actions as runs

RUN: Final = "import"
FORGET: Final = "forget_import"
RUNNING: Final = (ImportState.IMPORT_STATE_VALIDATING, ImportState.IMPORT_STATE_RUNNING)


class StoppedError(Exception):
    """Somebody cancelled the import; what this transaction did of it is rolled back."""


async def locked(work: UnitOfWork, import_id: str) -> Import:
    """Return an import that only this unit of work may change, or refuse with NOT_FOUND."""
    current = await store.STORE.lock(work, import_id)
    if current is None:
        raise NotFound(Common.NOT_FOUND, "no such import", resource="import")
    return current


def must_write(caller: Caller, current: Import) -> None:
    """Refuse a caller who may not write all that an import writes."""
    permissions.must_write(caller, current.kind)
    if current.companies == ImportCompanies.IMPORT_COMPANIES_CREATE:
        permissions.must_write(caller, RecordKind.RECORD_KIND_COMPANY)


def must_run(caller: Caller, current: Import) -> None:
    """Refuse a caller who may not do all that an import does: which companies there are is told to who may read them."""
    must_write(caller, current)
    if any(column.field in OF_COMPANIES for column in current.columns):
        permissions.must_read(caller, RecordKind.RECORD_KIND_COMPANY)


async def running(work: UnitOfWork, import_id: str) -> Import:
    """Return a locked import that goes on; raise StoppedError when it does not."""
    current = await locked(work, import_id)
    if current.state not in RUNNING:
        raise StoppedError(import_id)
    return current


async def step(work: UnitOfWork, current: Import, state: ImportState.ValueType) -> None:
    """Keep the next version of a locked import, and say so."""
    current.state = state
    advance(current, work.now)
    await store.STORE.update(work, current)
    work.publish(ImportUpdated(current=current))


async def end(work: UnitOfWork, current: Import, state: ImportState.ValueType, *, problem: str = "") -> None:
    """End a run. One that only tried leaves the import ready to be started; any other end is for good, and the file goes."""
    current.problem = problem
    if current.state == ImportState.IMPORT_STATE_VALIDATING and state == ImportState.IMPORT_STATE_READY:
        await step(work, current, state)
        return
    await store.drop_file(work, current.id)
    await runs.ask(work, FORGET, current.id, after=rules.KEPT)
    await step(work, current, state)


def report(current: Import) -> ImportReport:
    """Return the report that the present run writes."""
    return current.preview if current.state == ImportState.IMPORT_STATE_VALIDATING else current.report
