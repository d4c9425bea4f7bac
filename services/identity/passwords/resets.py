"""Resetting a password by a mailed link: one answer after the same work for every address, and one refusal for every token (ID-4)."""

from datetime import timedelta

from chassis import errors
from chassis.context import current
from chassis.database import NO_TENANT, UnitOfWork, unit_of_work
from chassis.errors import InvalidArgument
from chassis.mail import Post
from services.identity import rules as forms
from services.identity.attempts.actions import Attempts, refuse_before
from services.identity.mails.kinds import RESET_PASSWORD
from services.identity.mails.tokens import MAILS_A_DAY, hash_of
from services.identity.members import store as members
from services.identity.passwords import rules, store
from services.identity.passwords.actions import Passwords
from services.identity.reasons import Reason
from services.identity.rules import DEFAULT_LOCALE, NOBODY, Email
from services.identity.users import store as users
from services.identity.users.store import Address
from services.identity.verifications import actions as verifications
from services.identity.verifications.actions import Account


class Resets:
    """Resets of passwords. `attempts` are its own; `sign_ins` are forgiven to whoever has another password."""

    def __init__(self, passwords: Passwords, post: Post, *, attempts: Attempts, sign_ins: Attempts) -> None:
        self._passwords = passwords
        self._post = post
        self._attempts = attempts
        self._sign_ins = sign_ins

    async def begin(self, text: str) -> None:
        """Mail a link to an address that has an account, unless it got too many; never say whether it did."""
        email = forms.parse_email(text)
        errors.raise_for([*forms.email_violations("email", email)])
        account = await self._admit(email)
        async with unit_of_work(account.home) as work:
            mailed = await self._mail(work, account, email)
            work.note(account.user_id, outcome="mailed" if mailed else "not_mailed")

    async def finish(self, token: str, password: str) -> None:
        """Take a token back and set the password. Refuses a token that is worth nothing; a weak password leaves it good."""
        account = await self._account_of(token)
        password_hash = await self._passwords.accept(password, tenant_id=account.home, user_id=account.user_id, field="password")
        async with unit_of_work(account.home) as work:
            address = await users.lock_address(work, account.user_id)
            if address is None or not await store.take(work, hash_of(token), address.key):
                raise _worth_nothing()
            await self._sign_ins.succeeded(work, email_key=address.key)
            await verifications.shown(work, account.user_id)
            await self._passwords.replace(work, account.user_id, password_hash)
            work.note(account.user_id, outcome="reset")

    async def _admit(self, email: Email) -> Account:
        """Look the account up and count the attempt; refuse it when it comes too soon after others."""
        address = current().client_ip
        async with unit_of_work(NO_TENANT) as work:
            credential = await users.credential(work, email.key)
            user_id = credential.user_id if credential else NOBODY
            tenants = await members.tenants_of(work, user_id)
            wait = await self._attempts.admit(work, email_key=email.key, address=address, familiar=False)
            if not wait:
                await self._attempts.failed(work, address=address)  # whoever asks often is slowed, however it ends
        refuse_before(wait)
        return Account(user_id, tenants[0]) if tenants else Account(NOBODY, NOBODY)

    async def _mail(self, work: UnitOfWork, account: Account, email: Email) -> bool:
        """Mail a link, or do the same statements and the same sealing for nobody; say which. A later process sends the mail."""
        address = await users.lock_address(work, account.user_id)
        mailed = await store.count(work, account.user_id, since=work.now - rules.DAY)
        allowed = address is not None and mailed < MAILS_A_DAY
        user_id, token = account.user_id if allowed else NOBODY, rules.TOKENS.new()
        await store.end(work, user_id)
        await store.insert(work, user_id, token_hash=hash_of(token), expire_time=work.now + RESET_PASSWORD.lasts)
        to = address or Address(email.address, email.key, DEFAULT_LOCALE)
        mail = RESET_PASSWORD.mail(to=to.email, locale=to.locale, token=token)
        await (self._post.send(work, mail) if allowed else self._post.withhold(mail))
        return allowed

    async def _account_of(self, token: str) -> Account:
        """Return whose password a token resets. One that resets none is slowed; a good one never is, for it cannot be guessed."""
        async with unit_of_work(NO_TENANT) as work:
            user_id = await store.user_of(work, hash_of(token)) if rules.TOKENS.fits(token) else None
            tenants = await members.tenants_of(work, user_id) if user_id else []
            wait = timedelta(0) if tenants else await self._count_worthless(work)
        refuse_before(wait)
        if user_id is None or not tenants:
            raise _worth_nothing()
        return Account(user_id, tenants[0])

    async def _count_worthless(self, work: UnitOfWork) -> timedelta:
        """Count a token against the address that it came from, or return how long that address waits."""
        address = current().client_ip
        wait = await self._attempts.wait(work, address=address)
        if not wait:
            await self._attempts.failed(work, address=address)
        return wait


def _worth_nothing() -> InvalidArgument:
    return errors.invalid(Reason.RESET_INVALID, "token", "is unknown, was used, has ended or was followed by a newer one")
