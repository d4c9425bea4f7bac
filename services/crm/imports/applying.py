"""From rows to written records: what becomes of a row never depends on how rows are grouped."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from chassis.database import UnitOfWork
from chassis.errors import Refusal
from chassis.records import Draft, Edit
from kith.crm.v1.companies_pb2 import Company
from kith.crm.v1.imports_pb2 import Import, ImportDuplicates
from services.crm.change_sets import actions as change_sets
from services.crm.imports import rules
from services.crm.imports.employers import Asked, Employers
from services.crm.imports.matching import Key, Matcher, merged
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
        """Write rows."""
        outcomes: list[Outcome] = [Outcome(row.line, FAILED, row.problem) for row in rows if row.record is None]
        good = [row for row in rows if row.record is not None]
        changed = companies = 0
        for start in range(0, len(good), rules.STEP):
            left = good[start : start + rules.STEP]
            while left:
                left, written = await self._wave(work, left)
                outcomes += written.outcomes
                changed += written.changed
                companies += written.companies
                await work.flush()
                await asyncio.sleep(0)  # writing only sends: without this, nobody else would have a turn until the next answer is awaited
        return Applied(sorted(outcomes, key=lambda outcome: outcome.line.number), changed, companies)

    async def _wave(self, work: UnitOfWork, rows: Sequence[Row]) -> tuple[list[Row], Applied]:
        """Write the rows that share neither a key nor a record with one before them; return the others too: their turn comes next."""
        if self._creates:
            return [], await self._write(work, _Wave(list(rows), [], []), skipped=[], updated=[])
        keys = [self._matcher.keys(row.record) for row in rows]
        found = await self._matcher.find(work, set().union(*keys))
        wave = _Wave.of(rows, keys, found, changing=self._updates)
        if not self._updates:
            return wave.left, await self._write(work, wave, skipped=wave.matched, updated=[])
        ambiguous = [each for each in wave.matched if len(each[1]) > 1]
        return wave.left, await self._write(work, wave, skipped=ambiguous, updated=[each for each in wave.matched if len(each[1]) == 1])

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


class _Wave(NamedTuple):
    new: list[Row]
    matched: list[_Match]
    left: list[Row]

    @classmethod
    def of(cls, rows: Iterable[Row], keys: Iterable[set[Key]], found: Mapping[Key, set[str]], *, changing: bool) -> "_Wave":
        """Sort rows; one that matches and changes nothing stands in nobody's way."""
        wave = cls([], [], [])
        taken: set[object] = set()
        for row, own in zip(rows, keys, strict=True):
            ids = set().union(*(found.get(key, set()) for key in own))
            if not taken.isdisjoint(own | ids):
                wave.left.append(row)
            elif ids:
                wave.matched.append((row, ids))
                if not changing:
                    continue
            else:
                wave.new.append(row)
            taken |= own | ids
        return wave


def _edit(row: Row, record_id: str) -> Edit[Any]:
    return Edit(record_id, "", lambda before: merged(before, row.record))


def _outcome(row: Row, draft: Draft[Any], what: str) -> Outcome:
    if draft.refusal is not None:
        return Outcome(row.line, FAILED, _said(draft.refusal))
    return Outcome(row.line, what if draft.changes else SKIPPED)


def _said(refusal: Refusal) -> str:
    return "; ".join(said(refusal.fields)) or refusal.message
