"""Many records in one call: each succeeds or fails by itself, and what was changed is a change set, so that it can be undone together."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from google.protobuf.field_mask_pb2 import FieldMask
from google.rpc.status_pb2 import Status

from chassis import turns
from chassis.database import UnitOfWork
from chassis.errors import raise_for
from chassis.interceptors.errors import status
from chassis.records import Draft
from kith.crm.v1.change_sets_pb2 import ChangeSetOrigin
from services.crm.change_sets import actions
from services.crm.records import rules
from services.crm.records.actions import Records


class Batch(NamedTuple):
    """What became of each record, in the order of the call, and the change set; "" when nothing was changed."""

    drafts: list[Draft[Any]]
    change_set_id: str


async def update(work: UnitOfWork, records: Records[Any], edits: Sequence[tuple[Any, FieldMask]]) -> Batch:
    """Change the masked fields of many records."""
    turns.begin_long_work()
    raise_for(rules.check_written([wanted.id for wanted, _ in edits], f"{records.noun}.id"))
    drafts = await records.update(work, edits)
    return await _kept(work, records, ChangeSetOrigin.CHANGE_SET_ORIGIN_BATCH_UPDATE, drafts)


async def delete(work: UnitOfWork, records: Records[Any], named: Sequence[tuple[str, str]]) -> Batch:
    """Hide many records, named by id and etag."""
    turns.begin_long_work()
    raise_for(rules.check_written([record_id for record_id, _ in named], "id"))
    drafts = await records.delete(work, named)
    return await _kept(work, records, ChangeSetOrigin.CHANGE_SET_ORIGIN_BATCH_DELETE, drafts)


def status_of(draft: Draft[Any]) -> Status | None:
    """Return why a record was not changed, as a call for it alone would answer; None where it was."""
    return None if draft.refusal is None else status(draft.refusal)


async def _kept(work: UnitOfWork, records: Records[Any], origin: ChangeSetOrigin.ValueType, drafts: list[Draft[Any]]) -> Batch:
    return Batch(drafts, await actions.keep(work, records.noun, origin, drafts))
