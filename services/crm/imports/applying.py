"""From rows to written records: what becomes of a row never depends on how rows are grouped."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from chassis.database import UnitOfWork
from chassis.errors import Refusal
from kith.crm.v1.imports_pb2 import Import, ImportDuplicates
from services.crm.change_sets import actions as change_sets
from services.crm.imports import rules
from services.crm.imports.matching import Key, Matcher, merged
from services.crm.imports.parsing import Row, said
from services.crm.imports.sheet import Line
from services.crm.records.actions import Records
from services.crm.records.drafts import Draft, Edit

CREATED, UPDATED, SKIPPED, FAILED = "created", "updated", "skipped", "failed"


class Outcome(NamedTuple):
    """What became of a row."""

    line: Line
    what: str
    problem: str = ""


class Applier:
    """Writes the rows of one import."""

    def __init__(self, current: Import, records: Records[Any], matcher: Matcher) -> None:
        self._import = current
        self._records = records
        self._matcher = matcher
        self._creates = current.duplicates == ImportDuplicates.IMPORT_DUPLICATES_CREATE
        self._updates = current.duplicates == ImportDuplicates.IMPORT_DUPLICATES_UPDATE

    async def apply(self, work: UnitOfWork, rows: Sequence[Row]) -> tuple[list[Outcome], int]:
        """Write rows; return what became of each, in their order, and how many records changed."""
        outcomes: list[Outcome] = [Outcome(row.line, FAILED, row.problem) for row in rows if row.record is None]
        good = [row for row in rows if row.record is not None]
        changed = 0
        for start in range(0, len(good), rules.STEP):
            left = good[start : start + rules.STEP]
            while left:
                left, done, drafts = await self._wave(work, left)
                outcomes += done
                changed += await change_sets.add(work, self._import.change_set_id, drafts)
        return sorted(outcomes), changed

    async def _wave(self, work: UnitOfWork, rows: Sequence[Row]) -> tuple[list[Row], list[Outcome], list[Draft[Any]]]:
        """Write the rows that share neither a key nor a record with one before them; return the others too: their turn comes next."""
        if self._creates:
            drafts = await self._records.create_tidy(work, [row.record for row in rows])
            return [], [_outcome(row, draft, CREATED) for row, draft in zip(rows, drafts, strict=True)], drafts
        keys = [self._matcher.keys(row.record) for row in rows]
        found = await self._matcher.find(work, set().union(*keys))
        wave = _Wave.of(rows, keys, found, changing=self._updates)
        if not self._updates:
            return wave.left, *await self._write(work, wave, skipped=wave.matched, updated=[])
        ambiguous = [each for each in wave.matched if len(each[1]) > 1]
        return wave.left, *await self._write(work, wave, skipped=ambiguous, updated=[each for each in wave.matched if len(each[1]) == 1])

    async def _write(
        self, work: UnitOfWork, wave: "_Wave", *, skipped: "list[_Match]", updated: "list[_Match]"
    ) -> tuple[list[Outcome], list[Draft[Any]]]:
        created = await self._records.create_tidy(work, [row.record for row in wave.new]) if wave.new else []
        edits = [_edit(row, min(ids)) for row, ids in updated]
        changed = await self._records.change(work, edits) if edits else []
        outcomes = [_outcome(row, draft, CREATED) for row, draft in zip(wave.new, created, strict=True)]
        outcomes += [_outcome(row, draft, UPDATED) for (row, _), draft in zip(updated, changed, strict=True)]
        outcomes += [self._not_written(row, len(ids)) for row, ids in skipped]
        return outcomes, [*created, *changed]

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
