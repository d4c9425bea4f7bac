"""How records that are changed together leave their images."""

from collections.abc import Sequence
from typing import Any

from chassis import etags, ids, turns
from chassis.database import UnitOfWork
from chassis.records import Draft, advance, begin
from kith.crm.v1.change_sets_pb2 import ChangeSet, ChangeSetOrigin, ChangeSetState
from kith.crm.v1.parts_pb2 import RecordKind
from services.crm.change_sets import store
from services.crm.change_sets.store import Change
from services.crm.records.kinds import KINDS


async def keep(work: UnitOfWork, noun: str, origin: ChangeSetOrigin.ValueType, drafts: Sequence[Draft[Any]]) -> str:
    """Keep what a call changed as a change set of its own; return its id, "" when nothing was changed."""
    changed = await _changes(noun, drafts)
    if not changed:
        return ""
    change_set = new(work, ids.new(), KINDS[noun], origin)
    change_set.state = ChangeSetState.CHANGE_SET_STATE_APPLIED
    change_set.change_count = len(changed)
    await store.STORE.insert(work, change_set)
    await _add(work, change_set.id, changed)
    return change_set.id


def new(work: UnitOfWork, change_set_id: str, kind: RecordKind.ValueType, origin: ChangeSetOrigin.ValueType) -> ChangeSet:
    """Return a change set that begins now."""
    made = ChangeSet(kind=kind, origin=origin, state=ChangeSetState.CHANGE_SET_STATE_OPEN, creator_id=work.caller.user_id)
    begin(made, change_set_id, work.now)
    return made


async def add(work: UnitOfWork, change_set_id: str, noun: str, drafts: Sequence[Draft[Any]]) -> int:
    """Keep what was changed in a change set that is still growing; return how many records that were."""
    changed = await _changes(noun, drafts)
    await _add(work, change_set_id, changed)
    return len(changed)


def step(work: UnitOfWork, change_set: ChangeSet, state: ChangeSetState.ValueType) -> None:
    """Bring a locked change set to its next version."""
    change_set.state = state
    advance(change_set, work.now)


async def _add(work: UnitOfWork, change_set_id: str, changed: Sequence[Change]) -> None:
    for part in turns.parts(changed):
        await turns.give_way()
        await store.add_changes(work, change_set_id, part)


async def _changes(noun: str, drafts: Sequence[Draft[Any]]) -> list[Change]:
    return await turns.mapped(lambda draft: _change(noun, draft), [draft for draft in drafts if draft.changes])


def _change(noun: str, draft: Draft[Any]) -> Change:
    """Return the images of a record. What was created needs none: it is undone as a whole or not at all."""
    version = etags.version(draft.after.etag)
    if not draft.before.id:
        return Change(draft.after.id, version, None, None, noun)
    return Change(draft.after.id, version, draft.before.SerializeToString(), draft.after.SerializeToString(), noun)
