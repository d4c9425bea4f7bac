"""The run that undoes a change set, some hundred records at a time, each step of its own transaction."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from chassis import turns
from chassis.database import UnitOfWork, unit_of_work
from chassis.records import Draft
from kith.crm.v1.change_sets_pb2 import ChangeSet, ChangeSetState, KeptEdit
from kith.crm.v1.parts_pb2 import RecordKind
from services.crm.change_sets import store
from services.crm.change_sets.actions import step
from services.crm.change_sets.store import STORE, Change
from services.crm.change_sets.undo import Undo
from services.crm.records.actions import Records
from services.crm.records.kinds import KINDS, NOUNS
from services.crm.runs import actions as runs
from services.crm.runs.store import Run

KIND: Final = "revert"
MOST: Final = 500
"""Records that are undone in one transaction."""
MOST_KEPT: Final = 100
"""Kept edits that a change set names; the others are counted."""


class Revert:
    """Undoes change sets; what can be in them is given by noun, in the order in which it is undone."""

    def __init__(self, records: Mapping[str, Records[Any]]) -> None:
        self._records = records

    async def run(self, run: Run) -> None:
        """Undo the change set of a run, from where it stands to the end."""
        await self.undo(run, run.subject_id)
        async with unit_of_work() as work:
            await runs.done(work, run)

    async def give_up(self, run: Run) -> None:
        """Let the change set be reverted again by whoever wants to: what is undone already stays so."""
        async with unit_of_work() as work:
            change_set = await STORE.lock(work, run.subject_id)
            if change_set is not None:
                step(work, change_set, ChangeSetState.CHANGE_SET_STATE_APPLIED)
                await STORE.update(work, change_set)
            await runs.done(work, run)

    async def undo(self, run: Run, change_set_id: str) -> None:
        """Undo a change set for the sake of a run; it may have been begun before."""
        while await self._step(run, change_set_id):
            continue

    async def _step(self, run: Run, change_set_id: str) -> bool:
        """Undo the next records; say whether there may be more."""
        async with unit_of_work() as work:
            await runs.hold(work, run)
            change_set = await STORE.lock(work, change_set_id)
            if change_set is None or change_set.state == ChangeSetState.CHANGE_SET_STATE_REVERTED:
                return False
            behind = await store.reverted_up_to(work, change_set_id)
            changes = await store.changes_behind(work, change_set_id, behind, MOST)
            _count(work, change_set, changes, await self._undo_all(work, change_set, changes))
            await STORE.update(work, change_set)
            if changes:
                await store.reach(work, change_set_id, changes[-1].record_id)
            return len(changes) == MOST

    async def _undo_all(self, work: UnitOfWork, change_set: ChangeSet, changes: list[Change]) -> list[KeptEdit]:
        """Undo changes of whatever nouns; return what was kept."""
        own = NOUNS[change_set.kind]
        kept: list[KeptEdit] = []
        for noun, records in self._records.items():
            mine = [change for change in changes if (change.noun or own) == noun]
            kind = RecordKind.RECORD_KIND_UNSPECIFIED if noun == own else KINDS[noun]
            for part in turns.parts(mine):
                left = await self._undo(work, records, part)
                kept += [KeptEdit(record_id=record_id, fields=fields, kind=kind) for record_id, fields in left.items()]
                await work.flush()
        return kept

    async def _undo(self, work: UnitOfWork, records: Records[Any], changes: Sequence[Change]) -> dict[str, list[str]]:
        """Undo changes; return the records of which something was kept, with the fields."""
        now = await records.store.lock_many(work, sorted(change.record_id for change in changes))
        undo = Undo()
        for change in changes:
            await turns.give_way()
            undo.take(records, change, now.get(change.record_id))
        drafts: list[Draft[Any]] = [
            *await records.delete(work, [(each, "") for each in undo.to_delete]),
            *await records.restore(work, [(each, "") for each in undo.to_restore]),
            *await records.change(work, undo.to_change),
        ]
        refused: dict[str, list[str]] = {draft.before.id: [] for draft in drafts if draft.refusal is not None}
        return {**refused, **undo.kept}


def _count(work: UnitOfWork, change_set: ChangeSet, changes: list[Change], left: list[KeptEdit]) -> None:
    """Bring a change set behind a step."""
    ended = len(changes) < MOST
    change_set.reverted_count += len(changes) - len(left)
    change_set.kept_count += len(left)
    room = MOST_KEPT - len(change_set.kept_edits)
    change_set.kept_edits.extend(left[:room])
    step(work, change_set, ChangeSetState.CHANGE_SET_STATE_REVERTED if ended else ChangeSetState.CHANGE_SET_STATE_REVERTING)
