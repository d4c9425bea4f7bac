"""How long a session lasts, and what a refresh token that is shown means (ID-11).

Two tabs that race get one successor; a token that is in two hands ends the session; a forged token can do nothing to it.
"""

import hmac
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from services.identity.sessions.refresh_tokens import RefreshToken

IDLE: Final = timedelta(days=7)
ABSOLUTE: Final = timedelta(days=30)
GRACE: Final = timedelta(seconds=10)
MAX_REPLAYS: Final = 20
MAX_BEHIND: Final = 5000


class Verdict(StrEnum):
    """What is done about a refresh token."""

    ROTATE = "rotate"
    REPLAY = "replay"
    REUSED = "reused"
    FORGED = "forged"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """What the database knows about a session's refresh tokens. The key that its chain is computed with lies elsewhere."""

    generation: int
    secret_hash: bytes
    rotate_time: datetime
    replays: int
    idle_expire_time: datetime
    expire_time: datetime
    ended: bool


@dataclass(frozen=True, slots=True)
class Decision:
    """The verdict, and the token that the caller gets where there is one."""

    verdict: Verdict
    token: RefreshToken | None = None


def decide(shown: RefreshToken, family: Family, key: bytes, now: datetime) -> Decision:
    """Judge a token against its family, which the caller holds locked; the order of the questions is the point."""
    behind = family.generation - shown.generation
    if not 0 <= behind <= MAX_BEHIND:
        return Decision(Verdict.REFUSED)
    newest = shown.advanced(key, family.generation)
    if not hmac.compare_digest(newest.secret_hash(), family.secret_hash):
        return Decision(Verdict.FORGED)
    if family.ended or now >= min(family.idle_expire_time, family.expire_time):
        return Decision(Verdict.REFUSED)
    if behind == 0:
        return Decision(Verdict.ROTATE, newest.successor(key))
    if behind == 1 and now - family.rotate_time <= GRACE and family.replays < MAX_REPLAYS:
        return Decision(Verdict.REPLAY, newest)
    return Decision(Verdict.REUSED)


def idle_end(now: datetime, expire_time: datetime) -> datetime:
    """Return when an unused session ends: never after its absolute end."""
    return min(now + IDLE, expire_time)
