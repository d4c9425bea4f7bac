"""Signing in by password: one answer for a wrong password and for an unknown email, after the same work (ID-3)."""

from typing import Final, NamedTuple

import structlog

from chassis import errors
from chassis.context import current
from chassis.database import NO_TENANT, unit_of_work
from chassis.errors import ResourceExhausted, Unauthenticated
from kith.identity.v1.auth_pb2 import Session, SignInRequest
from services.identity import rules
from services.identity.attempts import rules as pace
from services.identity.attempts.actions import Attempts
from services.identity.keys.keyring import Keyring
from services.identity.members import store as members
from services.identity.reasons import Reason
from services.identity.rules import Email
from services.identity.sessions import store as sessions
from services.identity.sessions.actions import Sessions
from services.identity.users import store as users
from services.identity.users.hashing import Hasher
from services.identity.users.store import Credential

log = structlog.get_logger()

NOBODY: Final = "00000000-0000-0000-0000-000000000000"
"""Id that is looked up where there is no user, so that an unknown email costs the same statements."""


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
            await _leave_trail(known)
            raise Unauthenticated(Reason.CREDENTIALS_WRONG, "the email and the password do not fit together")
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
        if wait:
            raise ResourceExhausted(Reason.SIGN_IN_SLOWED, "too many failed attempts; try again later", retry_after=wait.total_seconds())
        return Known(email, credential, tenants)

    async def _enter(self, known: Known, credential: Credential, password: str) -> Session:
        keys = await self._keyring.current()
        renewed = await self._hasher.hash(password) if self._hasher.outdated(credential.hash) else ""
        async with unit_of_work(known.tenants[0]) as work:
            await self._attempts.succeeded(work, email_key=known.email.key, address=work.request.client_ip)
            if renewed:
                await users.replace_hash(work, credential.user_id, credential.hash, renewed)
            member = await members.get(work, credential.user_id)
            if member is None:
                raise Unauthenticated(Reason.CREDENTIALS_WRONG, "the email and the password do not fit together")
            session = await self._sessions.open(work, keys, member)
            work.note(member.id, outcome="signed_in")
        return session


async def _leave_trail(known: Known) -> None:
    """Write a failed attempt down where its owner will look for it: an account's in its audit trail, any other in the log."""
    if known.credential is None or not known.tenants:
        log.warning("sign_in_failed", reason="unknown_account")
        return
    async with unit_of_work(known.tenants[0]) as work:
        work.note(known.credential.user_id, outcome="wrong_password")
