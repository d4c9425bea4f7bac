"""From rows to written records: what becomes of a row never depends on how rows are grouped."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from chassis.database import UnitOfWork
from chassis.errors import Refusal
from chassis.records import Draft, Edit
from kith.crm.v1.companies_pb2 import Company
from kith.crm.v1.imports_pb2 import Import, ImportDuplicates
from services.crm.change_sets import actions as change_sets
from services.crm.imports import rules
from services.crm.imports.employers import Asked, Employers
from services.crm.imports.matching import Key, Matcher, Matches, merged
from services.crm.imports.parsing import Row, said
from services.crm.imports.sheet import Line
from services.crm.records.actions import Records

CREATED, UPDATED, SKIPPED, FAILED = "created", "updated", "skipped", "failed"


class Outcome(NamedTuple):
    """What became of a row."""

    line: Line
    what: str
    problem: str = ""


class Applied(NamedTuple):
    """What became of rows, in their order; how many records changed, and how many companies were among these beside the rows' own."""

    outcomes: list[Outcome]
    changed: int
    companies: int

    def and_then(self, more: "Applied") -> "Applied":
        """Return this with what became of further rows."""
        return Applied([*self.outcomes, *more.outcomes], self.changed + more.changed, self.companies + more.companies)


class Applier:
    """Writes the rows of one import."""

    def __init__(self, current: Import, records: Records[Any], matcher: Matcher, employers: Employers) -> None:
        self._import = current
        self._records = records
        self._matcher = matcher
        self._employers = employers
        self._creates = current.duplicates == ImportDuplicates.IMPORT_DUPLICATES_CREATE
        self._updates = current.duplicates == ImportDuplicates.IMPORT_DUPLICATES_UPDATE

    async def apply(self, work: UnitOfWork, rows: Sequence[Row]) -> Applied:
        """Write rows, some at a time; what there is for the next ones is looked for before the last ones are written.

        So the database writes while here the next rows are prepared, and nobody waits for the other.
        """
        good = [row for row in rows if row.record is not None]
        written = Applied([Outcome(row.line, FAILED, row.problem) for row in rows if row.record is None], 0, 0)
        next_step, touched = await self._look(work, good[: rules.STEP]), set[object]()
        for start in range(0, len(good), rules.STEP):
            step, next_step = next_step, await self._look(work, good[start + rules.STEP : start + 2 * rules.STEP])
            touched, more = await self._take(work, step, touched)
            written = written.and_then(more)
        return Applied(sorted(written.outcomes, key=lambda outcome: outcome.line.number), written.changed, written.companies)

    async def _look(self, work: UnitOfWork, rows: Sequence[Row]) -> "_Step":
        if self._creates or not rows:
            return _Step(rows, [set() for _ in rows], Matches({}))
        keys = [self._matcher.keys(row.record) for row in rows]
        return _Step(rows, keys, await self._matcher.find(work, set().union(*keys)))

    async def _take(self, work: UnitOfWork, step: "_Step", touched: "_Touched") -> "tuple[_Touched, Applied]":
        """Write the rows of a step, in waves; `touched` is what was written since they were looked for. Return what it is now."""
        now_touched, written = set[object](), Applied([], 0, 0)
        while step.rows:
            wave = _Wave.of(step, await step.matches.by_key(), touched, changing=self._updates)
            written = written.and_then(await self._write_wave(work, wave))
            now_touched |= wave.touched
            step, touched = await self._look(work, wave.left), set()
        return now_touched, written

    async def _write_wave(self, work: UnitOfWork, wave: "_Wave") -> Applied:
        ambiguous = [each for each in wave.matched if len(each[1]) > 1]
        clear = [each for each in wave.matched if len(each[1]) == 1]
        if self._updates:
            written = await self._write(work, wave, skipped=ambiguous, updated=clear)
        else:
            written = await self._write(work, wave, skipped=wave.matched, updated=[])
        await work.flush()
        return written

    async def _write(self, work: UnitOfWork, wave: "_Wave", *, skipped: "list[_Match]", updated: "list[_Match]") -> Applied:
        created = await self._records.draft_tidy(work, [row.record for row in wave.new]) if wave.new else []
        edits = [_edit(row, min(ids)) for row, ids in updated]
        changed = await self._records.draft_changes(work, edits) if edits else []
        written = [*wave.new, *(row for row, _ in updated)]
        companies = await self._join_companies(work, written, [*created, *changed])
        await self._records.write_new(work, created)
        await self._records.write_changes(work, changed)
        outcomes = [_outcome(row, draft, CREATED) for row, draft in zip(wave.new, created, strict=True)]
        outcomes += [_outcome(row, draft, UPDATED) for (row, _), draft in zip(updated, changed, strict=True)]
        outcomes += [self._not_written(row, len(ids)) for row, ids in skipped]
        return Applied(outcomes, await self._keep_images(work, [*created, *changed], companies), len(companies))

    async def _join_companies(self, work: UnitOfWork, rows: Sequence[Row], drafts: Sequence[Draft[Any]]) -> list[Draft[Company]]:
        """Bring contacts into the companies that their rows name, in the order of the file; return those that were made."""
        asked = sorted(zip(rows, drafts, strict=True), key=lambda each: each[0].line.number)
        return await self._employers.settle(work, [Asked(row.company, draft) for row, draft in asked])

    async def _keep_images(self, work: UnitOfWork, drafts: Sequence[Draft[Any]], companies: Sequence[Draft[Company]]) -> int:
        kept = await change_sets.add(work, self._import.change_set_id, self._records.noun, drafts)
        return kept + await change_sets.add(work, self._import.change_set_id, "company", companies)

    def _not_written(self, row: Row, matches: int) -> Outcome:
        if self._updates:
            return Outcome(row.line, FAILED, f"fits {matches} records; which one shall be updated?")
        return Outcome(row.line, SKIPPED)


_Match = tuple[Row, set[str]]

_Touched = set[object]
"""Keys and ids of records that were written, or whose turn is still to come."""


class _Step(NamedTuple):
    """Rows, the keys of each, and the records that have them."""

    rows: Sequence[Row]
    keys: Sequence[set[Key]]
    matches: Matches


class _Wave(NamedTuple):
    """Rows that can be written together, and those that cannot: they share a key or a record with one before them."""

    new: list[Row]
    matched: list[_Match]
    left: list[Row]
    touched: _Touched

    @classmethod
    def of(cls, step: _Step, found: Mapping[Key, set[str]], touched: _Touched, *, changing: bool) -> "_Wave":
        """Sort rows; one that matches and changes nothing stands in nobody's way."""
        wave = cls([], [], [], set())
        taken = set(touched)
        for row, own in zip(step.rows, step.keys, strict=True):
            ids = set[str]().union(*(found.get(key, ()) for key in own))
            if not taken.isdisjoint(own | ids):
                wave.left.append(row)
            elif ids:
                wave.matched.append((row, ids))
                if not changing:
                    continue
            else:
                wave.new.append(row)
            wave.touched.update(own, ids)
            taken.update(own, ids)
        return wave


def _edit(row: Row, record_id: str) -> Edit[Any]:
    return Edit(record_id, "", lambda before: merged(before, row.record))


def _outcome(row: Row, draft: Draft[Any], what: str) -> Outcome:
    if draft.refusal is not None:
        return Outcome(row.line, FAILED, _said(draft.refusal))
    return Outcome(row.line, what if draft.changes else SKIPPED)


def _said(refusal: Refusal) -> str:
    return "; ".join(said(refusal.fields)) or refusal.message
