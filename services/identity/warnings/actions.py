"""Warnings go to verified addresses alone: nobody else could be meant, and strangers could be made to read them."""

from chassis.database import UnitOfWork
from chassis.mail import Post
from kith.identity.v1.me_pb2 import User
from services.identity.mails.kinds import PASSWORD_CHANGED, SESSION_REUSED
from services.identity.users import store as users
from services.identity.warnings import rules


class Warnings:
    """Warnings to people about their accounts."""

    def __init__(self, post: Post) -> None:
        self._post = post

    async def session_reused(self, work: UnitOfWork, user_id: str, user_agent: str) -> None:
        """Say that a session was ended because a rotated token of it came back; `user_agent` is of the device that began it (ID-11)."""
        user = await _reachable(work, user_id)
        if user is not None:
            device, time = rules.device(user_agent), rules.time(work.now, user.time_zone)
            await self._post.send(work, SESSION_REUSED.mail(to=user.email, locale=user.locale, device=device, time=time))

    async def password_changed(self, work: UnitOfWork, user_id: str) -> None:
        """Say that the account has another password (ID-4)."""
        user = await _reachable(work, user_id)
        if user is not None:
            time = rules.time(work.now, user.time_zone)
            await self._post.send(work, PASSWORD_CHANGED.mail(to=user.email, locale=user.locale, time=time))


async def _reachable(work: UnitOfWork, user_id: str) -> User | None:
    """Return a user whose address is theirs for sure."""
    user = await users.STORE.get(work, user_id)
    return user if user is not None and user.HasField("email_verify_time") else None
