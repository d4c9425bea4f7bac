"""Owners: the members who look after records."""

from collections.abc import Sequence

from chassis import ids
from chassis.database import UnitOfWork
from chassis.errors import invalid
from chassis.records import Draft
from services.crm.members import store
from services.crm.reasons import Reason
from services.crm.records.kinds import R


async def check(work: UnitOfWork, drafts: Sequence[Draft[R]]) -> None:
    """Refuse drafts that are given to somebody who is no member. Callers may always take a record themselves."""
    new = {draft.after.owner_id for draft in drafts if draft.after.owner_id != draft.before.owner_id} - {"", work.caller.user_id}
    candidates = {owner for owner in new if ids.valid(owner)}
    unknown = new - (await store.known(work, candidates) if candidates else set())
    for draft in drafts:
        if draft.after.owner_id in unknown and draft.after.owner_id != draft.before.owner_id:
            draft.refuse(invalid(Reason.OWNER_UNKNOWN, "owner_id", "is no member of the organisation"))
