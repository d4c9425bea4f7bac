"""The run of an import: stage, then apply; row by row, or all at once, or all at once and rolled back (a dry run is a real one).

Every process may die at any line: what is committed says where to go on. Rows that were applied are counted in the same
transaction; a run that applies all at once begins again.
"""

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from typing import Any, Final, NamedTuple

from chassis.database import UnitOfWork, unit_of_work
from kith.crm.v1.change_sets_pb2 import ChangeSetOrigin, ChangeSetState
from kith.crm.v1.imports_pb2 import Import, ImportCompanies, ImportMode, ImportReport, ImportState
from kith.crm.v1.parts_pb2 import RecordKind
from services.crm.change_sets import actions as change_sets
from services.crm.change_sets.revert import Revert
from services.crm.change_sets.store import STORE as CHANGE_SETS
from services.crm.imports import actions, rules, staging, store, tally
from services.crm.imports.actions import StoppedError
from services.crm.imports.applying import FAILED, Applied, Applier
from services.crm.imports.employers import Employers
from services.crm.imports.failure import FileError
from services.crm.imports.matching import Matcher
from services.crm.imports.parsing import Parser, Row
from services.crm.records.actions import Records
from services.crm.records.kinds import NOUNS
from services.crm.runs import actions as runs
from services.crm.runs.store import Run

INTERNAL: Final = "something broke on our side; start it again"
NONE_KEPT: Final = "rows failed, and the mode keeps all rows or none; see the errors"


class Noun(NamedTuple):
    """What imports need of a noun."""

    records: Records[Any]
    matcher: Matcher


class ImportRunner:
    """Runs imports. `revert` undoes those that are cancelled."""

    def __init__(self, nouns: Mapping[str, Noun], revert: Revert) -> None:
        self._nouns = nouns
        self._revert = revert

    async def run(self, run: Run) -> None:
        """Run an import from where it stands."""
        async with unit_of_work() as work:
            current = await store.STORE.get(work, run.subject_id)
        if current is None or current.state not in (*actions.RUNNING, ImportState.IMPORT_STATE_CANCELLING):
            await self._leave(run)
            return
        try:
            await (self._go_on(run, current) if current.state in actions.RUNNING else self._cancel(run))
        except StoppedError:
            await self._cancel(run)
        except FileError as error:
            await self._fail(run, str(error))

    async def give_up(self, run: Run) -> None:
        """Say that the import failed; what was kept of it can be reverted."""
        await self._fail(run, INTERNAL)

    async def _go_on(self, run: Run, current: Import) -> None:
        if not current.row_count:
            current.row_count = await staging.stage(run, current)
        noun = self._nouns[NOUNS[current.kind]]
        async with unit_of_work() as work:
            region = await noun.records.regions.of(work)
        employers = Employers(self._nouns["company"].records, create=current.companies == ImportCompanies.IMPORT_COMPANIES_CREATE)
        applier = Applier(current, noun.records, noun.matcher, employers)
        applying = _Applying(run, current, Parser(current, noun.records, region), applier)
        if current.state == ImportState.IMPORT_STATE_RUNNING and current.mode == ImportMode.IMPORT_MODE_ROWS:
            await applying.row_by_row()
        else:
            await applying.all_at_once()

    async def _cancel(self, run: Run) -> None:
        """Undo what was kept; of a run that keeps all or nothing, that is nothing."""
        async with unit_of_work() as work:
            current = await actions.locked(work, run.subject_id)
        await self._revert.undo(run, current.change_set_id)
        async with unit_of_work() as work:
            await runs.done(work, run)
            current = await actions.locked(work, run.subject_id)
            if await CHANGE_SETS.get(work, current.change_set_id) is None:
                current.change_set_id = ""
            await actions.end(work, current, ImportState.IMPORT_STATE_CANCELLED)

    async def _fail(self, run: Run, problem: str) -> None:
        async with unit_of_work() as work:
            await runs.done(work, run)
            current = await actions.locked(work, run.subject_id)
            if not await _close(work, current.change_set_id):
                current.change_set_id = ""
            await actions.end(work, current, ImportState.IMPORT_STATE_FAILED, problem=problem)

    async def _leave(self, run: Run) -> None:
        async with unit_of_work() as work:
            await runs.done(work, run)


class Forget:
    """Forgets imports whose time is over."""

    async def run(self, run: Run) -> None:
        """Forget the import of a run, unless it is in use or ended only later."""
        async with unit_of_work() as work:
            await store.forget(work, run.subject_id, work.now - rules.KEPT)
            await runs.done(work, run)

    async def give_up(self, run: Run) -> None:
        """Try once more."""
        await self.run(run)


class _Applying:
    """One run's way through its staged rows."""

    def __init__(self, run: Run, current: Import, parser: Parser, applier: Applier) -> None:
        self._run = run
        self._import = current
        self._parser = parser
        self._applier = applier

    async def row_by_row(self) -> None:
        """Apply the rows that are left, some in each transaction."""
        done = self._import.report.done_count
        async with aclosing(self._batches(done)) as batches:
            async for rows in batches:
                await self._apply_and_count(rows)
        async with unit_of_work() as work:
            await runs.done(work, self._run)
            now = await actions.running(work, self._import.id)
            await _close(work, now.change_set_id)
            await actions.end(work, now, ImportState.IMPORT_STATE_SUCCEEDED)

    async def all_at_once(self) -> None:
        """Apply all rows in one transaction, which is rolled back when one fails or nothing is to be kept."""
        await self._begin_again()
        total = ImportReport()
        async with unit_of_work() as work:
            await _open(work, self._import)
            changed = 0
            async with aclosing(self._batches(0)) as batches:
                async for rows in batches:
                    applied = await self._apply(work, rows)
                    await work.flush()
                    changed += applied.changed
                    tally.add(total, applied)
                    await self._tell(applied)
            kept = self._import.state == ImportState.IMPORT_STATE_RUNNING and not total.failed_count
            if kept:
                await runs.done(work, self._run)
                now = await actions.running(work, self._import.id)
                await _grow(work, now.change_set_id, changed)
                await _close(work, now.change_set_id)
                await actions.end(work, now, ImportState.IMPORT_STATE_SUCCEEDED)
            else:
                work.keep_nothing()
        if not kept:
            await self._end_without_keeping()

    async def _apply_and_count(self, rows: Sequence[Row]) -> None:
        async with unit_of_work() as work:
            await runs.hold(work, self._run)
            now = await actions.running(work, self._import.id)
            if not now.report.done_count:
                await _open(work, now)
            applied = await self._apply(work, rows)
            await _grow(work, now.change_set_id, applied.changed)
            await _count(work, now, applied)

    async def _batches(self, done: int) -> AsyncGenerator[list[Row], None]:
        """Yield the rows that are left; the next ones are read while the last ones are written."""
        ahead = asyncio.create_task(self._next(done))
        try:
            while rows := await ahead:
                done += len(rows)
                ahead = asyncio.create_task(self._next(done))
                yield rows
        finally:
            ahead.cancel()
            await asyncio.wait([ahead])

    async def _apply(self, work: UnitOfWork, rows: Sequence[Row]) -> Applied:
        await store.plan_anew(work)
        return await self._applier.apply(work, rows)

    async def _next(self, done: int) -> list[Row]:
        async with unit_of_work() as work:
            lines = await store.rows_behind(work, self._import.id, done, rules.APPLIED)
        return await self._parser.rows(lines)

    async def _begin_again(self) -> None:
        """Forget what a run said that died, or that tried before."""
        async with unit_of_work() as work:
            await runs.renew(work, self._run)
            now = await actions.running(work, self._import.id)
            await store.drop_errors(work, now.id)
            actions.report(now).Clear()
            await actions.step(work, now, now.state)

    async def _tell(self, applied: Applied) -> None:
        """Say how far the run is, beside its transaction."""
        async with unit_of_work() as work:
            await runs.renew(work, self._run)
            await _count(work, await actions.running(work, self._import.id), applied)

    async def _end_without_keeping(self) -> None:
        async with unit_of_work() as work:
            await runs.done(work, self._run)
            now = await actions.running(work, self._import.id)
            now.change_set_id = ""
            if now.state == ImportState.IMPORT_STATE_VALIDATING:
                await actions.end(work, now, ImportState.IMPORT_STATE_READY)
            else:
                await actions.end(work, now, ImportState.IMPORT_STATE_FAILED, problem=NONE_KEPT)


async def _count(work: UnitOfWork, now: Import, applied: Applied) -> None:
    tally.add(actions.report(now), applied)
    await store.add_errors(work, now.id, [outcome for outcome in applied.outcomes if outcome.what == FAILED])
    await actions.step(work, now, now.state)


async def _open(work: UnitOfWork, current: Import) -> None:
    """Begin the change set that the run fills."""
    made = change_sets.new(work, current.change_set_id, current.kind, ChangeSetOrigin.CHANGE_SET_ORIGIN_IMPORT)
    if current.companies == ImportCompanies.IMPORT_COMPANIES_CREATE:
        made.further_kinds.append(RecordKind.RECORD_KIND_COMPANY)
    await CHANGE_SETS.insert(work, made)


async def _grow(work: UnitOfWork, change_set_id: str, changed: int) -> None:
    change_set = await CHANGE_SETS.lock(work, change_set_id)
    if change_set is not None:
        change_set.change_count += changed
        change_sets.step(work, change_set, ChangeSetState.CHANGE_SET_STATE_OPEN)
        await CHANGE_SETS.update(work, change_set)


async def _close(work: UnitOfWork, change_set_id: str) -> bool:
    """Let the change set be reverted from now on; say whether there is one."""
    change_set = await CHANGE_SETS.lock(work, change_set_id)
    if change_set is not None:
        change_sets.step(work, change_set, ChangeSetState.CHANGE_SET_STATE_APPLIED)
        await CHANGE_SETS.update(work, change_set)
    return change_set is not None
