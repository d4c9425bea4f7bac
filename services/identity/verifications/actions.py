"""Mailing links and taking the tokens in them back: at registration, for those who ask again, and for those who followed one (ID-1)."""

from typing import NamedTuple

from chassis import errors
from chassis.database import NO_TENANT, UnitOfWork, unit_of_work
from chassis.errors import InvalidArgument
from chassis.mail import Post
from services.identity.mails.kinds import VERIFY_EMAIL
from services.identity.mails.tokens import MAILS_A_DAY, hash_of
from services.identity.members import store as members
from services.identity.reasons import Reason
from services.identity.users import store as users
from services.identity.users.store import Address
from services.identity.verifications import store
from services.identity.verifications.rules import TOKENS
from services.identity.verifications.store import Pending


class Account(NamedTuple):
    """A user, and the organisation in whose trail the mailed links that they follow stand: the one that they joined first."""

    user_id: str
    home: str


class Verifications:
    """Verifications of email addresses."""

    def __init__(self, post: Post) -> None:
        self._post = post

    async def begin(self, work: UnitOfWork, user_id: str, address: Address) -> None:
        """Mail a link, in the unit of work that says why."""
        token = TOKENS.new()
        pending, expire_time = Pending(user_id, address.key), work.now + VERIFY_EMAIL.lasts
        await store.insert(work, pending, token_hash=hash_of(token), expire_time=expire_time)
        await self._post.send(work, VERIFY_EMAIL.mail(to=address.email, locale=address.locale, token=token))

    async def again(self, work: UnitOfWork, user_id: str) -> None:
        """Mail another link, if there is something to verify and not too many were mailed."""
        address = await users.lock_unverified(work, user_id)
        if address is not None and await store.count(work, user_id) < MAILS_A_DAY:
            await self.begin(work, user_id, address)

    async def finish(self, token: str) -> None:
        """Take a token back, and write down that its address is the user's. Refuses a token that is worth nothing."""
        token_hash = hash_of(token)
        account = await _account_of(token_hash) if TOKENS.fits(token) else None
        if account is None:
            raise _worth_nothing()
        async with unit_of_work(account.home) as work:
            await users.lock_address(work, account.user_id)  # as a reset does first, lest each waits for the other
            pending = await store.take(work, token_hash)
            if pending is None or not await users.verify_email(work, pending.user_id, pending.email_key):
                raise _worth_nothing()
            await store.forget(work, pending.user_id)
            work.note(pending.user_id, outcome="verified")


async def shown(work: UnitOfWork, user_id: str) -> None:
    """Write down that an address is its user's, who followed a link that was mailed there for another reason."""
    address = await users.lock_unverified(work, user_id)
    if address is not None:
        await users.verify_email(work, user_id, address.key)
        await store.forget(work, user_id)


async def _account_of(token_hash: bytes) -> Account | None:
    """Return whose address a token verifies."""
    async with unit_of_work(NO_TENANT) as work:
        user_id = await store.user_of(work, token_hash)
        tenants = await members.tenants_of(work, user_id) if user_id else []
    return Account(user_id, tenants[0]) if user_id and tenants else None


def _worth_nothing() -> InvalidArgument:
    return errors.invalid(Reason.VERIFICATION_INVALID, "token", "is unknown, was used or has ended")
