"""VerificationService: following a mailed link, and asking for another one."""

from google.protobuf.empty_pb2 import Empty

from chassis.database import unit_of_work
from chassis.interceptors.chain import Context
from kith.identity.v1.verifications_pb2 import ResendVerificationRequest, VerifyEmailRequest
from kith.identity.v1.verifications_pb2_grpc import VerificationServiceServicer
from services.identity.verifications.actions import Verifications


class VerificationService(VerificationServiceServicer):
    """Whoever has the token reads the mails of the address; nobody needs to be signed in for that."""

    def __init__(self, verifications: Verifications) -> None:
        self._verifications = verifications

    async def VerifyEmail(self, request: VerifyEmailRequest, context: Context) -> Empty:
        """Take the token of a mailed link."""
        await self._verifications.finish(request.token)
        return Empty()

    async def ResendVerification(self, request: ResendVerificationRequest, context: Context) -> Empty:
        """Mail the caller another link."""
        async with unit_of_work() as work:
            await self._verifications.again(work, work.caller.user_id)
            return work.answer(Empty())
