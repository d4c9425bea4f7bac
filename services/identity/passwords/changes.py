"""Changing a password by showing the one in use; guessing it gets slow as at sign-in (ID-3, ID-12)."""

from chassis import errors
from chassis.context import Caller, current
from chassis.database import NO_TENANT, unit_of_work
from chassis.errors import InvalidArgument
from services.identity.attempts.actions import Attempts, refuse_before
from services.identity.passwords.actions import Passwords
from services.identity.reasons import Reason
from services.identity.users import store as users
from services.identity.users.hashing import Hasher
from services.identity.users.store import Credential


class Changes:
    """Changes of passwords. `attempts` are its own, so that no stranger's guesses at sign-in slow them."""

    def __init__(self, hasher: Hasher, passwords: Passwords, *, attempts: Attempts) -> None:
        self._hasher = hasher
        self._passwords = passwords
        self._attempts = attempts

    async def change(self, current_password: str, new_password: str) -> None:
        """Set the caller's password, and end all their sessions but this one."""
        caller = current().caller
        credential = await self._admit(caller)
        if not await self._hasher.verify(credential.hash, current_password):
            await _tell_refused(caller)
            raise _wrong()
        await self._forgive(caller)
        password_hash = await self._passwords.accept(new_password, tenant_id=caller.tenant_id, user_id=caller.user_id, field="new_password")
        async with unit_of_work() as work:
            await users.lock_address(work, caller.user_id)  # as a reset does first, lest each waits for the other
            if not await users.still_has(work, credential):
                raise _wrong()
            await self._passwords.replace(work, caller.user_id, password_hash, keeping=caller.session_id)
            work.note(caller.user_id, outcome="changed")

    async def _admit(self, caller: Caller) -> Credential:
        """Count the attempt and return what it is checked against; refuse it when it comes too soon after others."""
        async with unit_of_work(NO_TENANT) as work:
            credential = await users.credential_of(work, caller.user_id)
            wait = await self._attempts.admit(work, email_key=caller.user_id, address="", familiar=False)
        refuse_before(wait)
        if credential is None:
            raise _wrong()
        return credential

    async def _forgive(self, caller: Caller) -> None:
        """Forget the count of whoever knows the password: a new one that is too weak is no guess."""
        async with unit_of_work(NO_TENANT) as work:
            await self._attempts.succeeded(work, email_key=caller.user_id)


async def _tell_refused(caller: Caller) -> None:
    """Write a wrong password into the trail."""
    async with unit_of_work() as work:
        work.note(caller.user_id, outcome="refused")


def _wrong() -> InvalidArgument:
    return errors.invalid(Reason.CREDENTIALS_WRONG, "current_password", "is not your password")
