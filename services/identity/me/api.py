"""MeService: callers about themselves."""

from google.protobuf.empty_pb2 import Empty

from chassis.database import unit_of_work
from chassis.errors import NotFound, Reason
from chassis.interceptors.chain import Context
from kith.identity.v1.me_pb2 import Me
from kith.identity.v1.me_pb2_grpc import MeServiceServicer
from services.identity.me import actions
from services.identity.members import store as members


class MeService(MeServiceServicer):
    """Answers with the caller as they stand now, which may be newer than their token."""

    async def GetMe(self, request: Empty, context: Context) -> Me:
        """Return the caller's user, organisation, role and permissions."""
        async with unit_of_work() as work:
            member = await members.STORE.get(work, work.caller.user_id)
            if member is None:
                raise NotFound(Reason.NOT_FOUND, "no longer a member of this organisation")
            return await actions.describe(work, member)
