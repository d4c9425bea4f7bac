"""ChangeSetService: message in, message out."""

from chassis import ids
from chassis.database import unit_of_work
from chassis.errors import FailedPrecondition, NotFound
from chassis.errors import Reason as Common
from chassis.interceptors.chain import Context
from chassis.listing import Ask
from kith.crm.v1.change_sets_pb2 import (
    ChangeSet,
    ChangeSetState,
    GetChangeSetRequest,
    ListChangeSetsRequest,
    ListChangeSetsResponse,
    RevertChangeSetRequest,
)
from kith.crm.v1.change_sets_pb2_grpc import ChangeSetServiceServicer
from services.crm.change_sets import revert, store
from services.crm.change_sets.actions import step
from services.crm.reasons import Reason
from services.crm.records import permissions
from services.crm.runs import actions as runs


class ChangeSetService(ChangeSetServiceServicer):
    """Keeps how records were before they were changed together, and brings that back."""

    async def GetChangeSet(self, request: GetChangeSetRequest, context: Context) -> ChangeSet:
        """Return one change set."""
        async with unit_of_work() as work:
            found = await store.STORE.show(work, ids.parse(request.id))
        if found is None:
            raise _not_found()
        return found

    async def ListChangeSets(self, request: ListChangeSetsRequest, context: Context) -> ListChangeSetsResponse:
        """Return one page."""
        async with unit_of_work() as work:
            return store.PAGES.answer(await store.LISTING.page(work, Ask.of(request)))

    async def RevertChangeSet(self, request: RevertChangeSetRequest, context: Context) -> ChangeSet:
        """Ask for a change set to be undone."""
        async with unit_of_work() as work:
            change_set = await store.STORE.lock(work, ids.parse(request.id))
            if change_set is None:
                raise _not_found()
            for kind in (change_set.kind, *change_set.further_kinds):
                permissions.must_write(work.caller, kind)
            if change_set.state != ChangeSetState.CHANGE_SET_STATE_APPLIED:
                raise FailedPrecondition(Reason.CHANGE_SET_NOT_REVERTIBLE, "only a complete change set can be reverted, and only once")
            step(work, change_set, ChangeSetState.CHANGE_SET_STATE_REVERTING)
            await store.STORE.update(work, change_set)
            await runs.ask(work, revert.KIND, change_set.id)
            return work.answer(change_set)


def _not_found() -> NotFound:
    return NotFound(Common.NOT_FOUND, "no such change set", resource="change_set")
