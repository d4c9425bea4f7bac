"""Signing in by password: one answer for a wrong password and for an unknown email, after the same work (ID-3)."""

from typing import NamedTuple

import structlog

from chassis import errors
from chassis.context import current
from chassis.database import NO_TENANT, unit_of_work
from chassis.errors import Unauthenticated
from kith.identity.v1.auth_pb2 import Session, SignInRequest
from services.identity import rules
from services.identity.attempts import rules as pace
from services.identity.attempts.actions import Attempts, refuse_before
from services.identity.keys.keyring import Keyring
from services.identity.members import store as members
from services.identity.reasons import Reason
from services.identity.rules import NOBODY, Email
from services.identity.sessions import store as sessions
from services.identity.sessions.actions import Sessions
from services.identity.users import store as users
from services.identity.users.hashing import Hasher
from services.identity.users.store import Credential

log = structlog.get_logger()


class Known(NamedTuple):
    """What is known before the password is looked at."""

    email: Email
    credential: Credential | None
    tenants: list[str]


class SignIn:
    """Checks who people say they are."""

    def __init__(self, hasher: Hasher, keyring: Keyring, sessions: Sessions, attempts: Attempts) -> None:
        self._hasher = hasher
        self._keyring = keyring
        self._sessions = sessions
        self._attempts = attempts

    async def open(self, request: SignInRequest) -> Session:
        """Open a session in the organisation that the person joined first."""
        email = rules.parse_email(request.email)
        errors.raise_for([*rules.email_violations("email", email)])
        known = await self._admit(email)
        stored = known.credential.hash if known.credential else None
        fits = await self._hasher.verify(stored, request.password)
        if not fits or known.credential is None or not known.tenants:
            await self._count_failure(known)
            raise _wrong()
        return await self._enter(known, known.credential, request.password)

    async def _admit(self, email: Email) -> Known:
        """Look the account up and count the attempt; refuse it when it comes too soon after others."""
        address = current().client_ip
        async with unit_of_work(NO_TENANT) as work:
            credential = await users.credential(work, email.key)
            user_id = credential.user_id if credential else NOBODY
            tenants = await members.tenants_of(work, user_id)
            familiar = await sessions.familiar(work, user_id, pace.network(address))
            wait = await self._attempts.admit(work, email_key=email.key, address=address, familiar=familiar and bool(address))
        refuse_before(wait)
        return Known(email, credential, tenants)

    async def _enter(self, known: Known, credential: Credential, password: str) -> Session:
        keys = await self._keyring.current()
        renewed = await self._hasher.hash(password) if self._hasher.outdated(credential.hash) else ""
        async with unit_of_work(known.tenants[0]) as work:
            await self._attempts.succeeded(work, email_key=known.email.key)
            if not await users.still_has(work, credential):  # another password ended all sessions, and this one must not come after that
                raise _wrong()
            if renewed:
                await users.replace_hash(work, credential.user_id, credential.hash, renewed)
            member = await members.STORE.get(work, credential.user_id)
            if member is None:
                raise _wrong()
            session = await self._sessions.open(work, keys, member)
            work.note(member.id, outcome="signed_in")
        return session

    async def _count_failure(self, known: Known) -> None:
        """Write a failed attempt into the trail of the account's organisation; an unknown account's into the trail of nobody's.

        Both are the same work, so that neither answer comes sooner.
        """
        user_id = known.credential.user_id if known.credential else NOBODY
        async with unit_of_work(known.tenants[0] if known.tenants else NOBODY) as work:
            await self._attempts.failed(work, address=work.request.client_ip)
            work.note(user_id, outcome="refused")
        log.warning("sign_in_failed", known=user_id != NOBODY)


def _wrong() -> Unauthenticated:
    return Unauthenticated(Reason.CREDENTIALS_WRONG, "the email and the password do not fit together")
