"""What resets and changes of passwords have in common: judging the new one, and ending what was opened with the former one."""

from chassis.database import UnitOfWork, unit_of_work
from chassis.errors import NotFound, Reason
from kith.identity.v1.events_pb2 import SessionEnded
from services.identity.passwords import store
from services.identity.rules import NOBODY
from services.identity.sessions.actions import end_all
from services.identity.tenants import store as tenants
from services.identity.users import store as users
from services.identity.users.actions import accept_password
from services.identity.users.hashing import Hasher
from services.identity.warnings.actions import Warnings


class Passwords:
    """Passwords that replace others."""

    def __init__(self, hasher: Hasher, warnings: Warnings) -> None:
        self._hasher = hasher
        self._warnings = warnings

    async def accept(self, password: str, *, tenant_id: str, user_id: str, field: str) -> str:
        """Return the hash of a good password; refuse a weak one, or one that tells of its person (ID-2)."""
        async with unit_of_work(tenant_id) as work:
            work.keep_nothing()  # only looks, so that no connection waits for the hash
            user, tenant = await users.STORE.get(work, user_id), await tenants.get(work)
        if user is None:
            raise NotFound(Reason.NOT_FOUND, "no such user")
        return await accept_password(self._hasher, password, about=(user.email, tenant.name, user.name), field=field)

    async def replace(self, work: UnitOfWork, user_id: str, password_hash: str, *, keeping: str = NOBODY) -> None:
        """Keep the password, tell its person, and end links and sessions, but for the session that is kept.

        The password comes first: whoever signs in with the former one meanwhile is refused, or has a session that is seen here.
        """
        await users.set_password(work, user_id, password_hash)
        await store.end(work, user_id)
        await end_all(work, user_id, SessionEnded.CAUSE_PASSWORD_CHANGED, but=keeping)
        await self._warnings.password_changed(work, user_id)
