"""PasswordService: asking for a link, following it, and changing the password that one knows."""

from google.protobuf.empty_pb2 import Empty

from chassis.interceptors.chain import Context
from kith.identity.v1.passwords_pb2 import ChangePasswordRequest, RequestPasswordResetRequest, ResetPasswordRequest
from kith.identity.v1.passwords_pb2_grpc import PasswordServiceServicer
from services.identity.passwords.changes import Changes
from services.identity.passwords.resets import Resets


class PasswordService(PasswordServiceServicer):
    """Resets are for who reads the mails of the address, changes for who is signed in and knows the password."""

    def __init__(self, resets: Resets, changes: Changes) -> None:
        self._resets = resets
        self._changes = changes

    async def RequestPasswordReset(self, request: RequestPasswordResetRequest, context: Context) -> Empty:
        """Mail a link, perhaps."""
        await self._resets.begin(request.email)
        return Empty()

    async def ResetPassword(self, request: ResetPasswordRequest, context: Context) -> Empty:
        """Take the token of a mailed link and set the password."""
        await self._resets.finish(request.token, request.password)
        return Empty()

    async def ChangePassword(self, request: ChangePasswordRequest, context: Context) -> Empty:
        """Set the caller's password."""
        await self._changes.change(request.current_password, request.new_password)
        return Empty()
