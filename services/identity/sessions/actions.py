"""Opening, renewing and ending sessions, for every door that does one of them."""

from datetime import timedelta
from typing import Final
from uuid import uuid4

from google.protobuf.timestamp_pb2 import Timestamp

from chassis import ids
from chassis.context import Caller, CallerKind
from chassis.database import UnitOfWork
from chassis.tokens import permissions
from chassis.tokens.claims import LIFETIME
from kith.identity.v1.auth_pb2 import Session
from kith.identity.v1.events_pb2 import SessionEnded
from kith.identity.v1.members_pb2 import Member
from services.identity.attempts import rules as attempts
from services.identity.attempts.actions import Attempts
from services.identity.keys.keyring import Keys
from services.identity.me.actions import describe
from services.identity.members import roles
from services.identity.members import store as members
from services.identity.rules import NOBODY
from services.identity.sessions import access_tokens, rules, store
from services.identity.sessions.refresh_tokens import RefreshToken
from services.identity.sessions.rules import Decision, Verdict
from services.identity.sessions.store import Live, Locked
from services.identity.warnings.actions import Warnings

OURS: Final = frozenset({Verdict.ROTATE, Verdict.REPLAY, Verdict.REUSED})
"""Verdicts on tokens that were made here for a session that lives."""


class Sessions:
    """Sessions of one issuer."""

    def __init__(self, *, issuer: str, attempts: Attempts, warnings: Warnings) -> None:
        self._issuer = issuer
        self._attempts = attempts
        self._warnings = warnings

    async def open(self, work: UnitOfWork, keys: Keys, member: Member) -> Session:
        """Begin a session of a member; from here on the call is made by that member."""
        token, expire_time = RefreshToken.first(uuid4().bytes), work.now + rules.ABSOLUTE
        live = Live(id=ids.new(), user_id=member.id, create_time=work.now, idle_expire_time=rules.idle_end(work.now, expire_time))
        await store.insert(
            work, live, token, key_id=keys.refresh_kid, expire_time=expire_time, network=attempts.network(work.request.client_ip)
        )
        _speak_for(work, live, permissions.of(roles.PERMISSIONS[member.role]))
        return await self._session(work, keys, member, live, token)

    async def renew(self, work: UnitOfWork, keys: Keys, shown: RefreshToken) -> Session | None:
        """Return the session with a new access token and the token's successor; None if the token is worth nothing.

        Who the person is and what they may do is read again each time.
        """
        locked = await store.lock(work, shown)
        if locked is None:
            return None
        member = await members.STORE.get(work, locked.live.user_id)
        decision = _decide(keys, locked, shown)
        if decision.token is None or member is None:
            await self._turn_away(work, locked, decision)
            return None
        live = await _keep(work, locked, decision.verdict, decision.token)
        return await self._session(work, keys, member, live, decision.token)

    async def sign_out(self, work: UnitOfWork, keys: Keys, shown: RefreshToken) -> None:
        """End the session of a token that is or was ours."""
        locked = await store.lock(work, shown)
        if locked is not None and _decide(keys, locked, shown).verdict in OURS:
            _speak_for(work, locked.live, permissions.NONE)
            await _end(work, locked, SessionEnded.CAUSE_SIGN_OUT)

    async def _turn_away(self, work: UnitOfWork, locked: Locked, decision: Decision) -> None:
        match decision.verdict:
            case Verdict.REUSED:
                await _end(work, locked, SessionEnded.CAUSE_REUSE)
                await self._warnings.session_reused(work, locked.live.user_id, locked.user_agent)
            case Verdict.FORGED:
                await self._attempts.failed(work, address=work.request.client_ip)

    async def _session(self, work: UnitOfWork, keys: Keys, member: Member, live: Live, token: RefreshToken) -> Session:
        issued = access_tokens.issue(
            keys.signer,
            issuer=self._issuer,
            tenant_id=work.tenant_id,
            session_id=live.id,
            member=member,
            auth_time=live.create_time,
            now=work.now,
        )
        return Session(
            access_token=issued.text,
            access_expire_time=Timestamp(seconds=issued.expires),
            refresh_token=token.text(),
            refresh_expire_time=Timestamp(seconds=int(live.idle_expire_time.timestamp())),
            me=await describe(work, member),
        )


async def end_all(work: UnitOfWork, user_id: str, cause: SessionEnded.Cause.ValueType, *, but: str = NOBODY) -> None:
    """End the sessions of a user in whichever organisation, all but the one that is named. Access tokens outlive an expired session."""
    for session_id in await store.end_all(work, user_id, after=work.now - timedelta(seconds=LIFETIME), but=but):
        work.publish(SessionEnded(session_id=session_id, cause=cause))


def _speak_for(work: UnitOfWork, live: Live, held: int) -> None:
    """Make the session's person the one who calls: what they showed says who they are."""
    work.request.caller = Caller(kind=CallerKind.USER, tenant_id=work.tenant_id, user_id=live.user_id, session_id=live.id, permissions=held)


def _decide(keys: Keys, locked: Locked, shown: RefreshToken) -> Decision:
    key = keys.refresh.get(locked.key_id)
    return rules.decide(shown, locked.family, key, locked.now) if key is not None else Decision(Verdict.REFUSED)


async def _keep(work: UnitOfWork, locked: Locked, verdict: Verdict, token: RefreshToken) -> Live:
    """Keep what a good token changes about its session."""
    if verdict is Verdict.REPLAY:
        await store.replay(work, locked.live.id)
        return locked.live
    live = locked.live._replace(idle_expire_time=rules.idle_end(locked.now, locked.family.expire_time))
    await store.rotate(work, live, token, now=locked.now)
    return live


async def _end(work: UnitOfWork, locked: Locked, cause: SessionEnded.Cause.ValueType) -> None:
    await store.end(work, locked.live.id)
    work.publish(SessionEnded(session_id=locked.live.id, cause=cause))
