"""The life of a key: next, active, retiring, gone (ID-13).

A key is published long before it is used and stays published after it, so that no verifier ever meets one that it does not know.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final


class Use(StrEnum):
    """What a key is for."""

    ACCESS = "access"
    REFRESH = "refresh"
    SEAL = "seal"


class State(StrEnum):
    """Where a key stands in its life; a retired key is gone, its secret with it."""

    NEXT = "next"
    ACTIVE = "active"
    RETIRING = "retiring"


@dataclass(frozen=True, slots=True, kw_only=True)
class Times:
    """How long a key is known before its use, used, and known after it."""

    published: timedelta
    active: timedelta
    retiring: timedelta


ACCESS_TTL: Final = timedelta(minutes=10)
KEY_SET_AGE: Final = timedelta(hours=1)
SKEW: Final = timedelta(seconds=60)
REFRESH_END: Final = timedelta(days=30)
TRAIL_END: Final = timedelta(days=3650)
"""No trail is kept for longer, so that no seal is older."""

TIMES: Final = {
    Use.ACCESS: Times(published=timedelta(hours=24), active=timedelta(days=30), retiring=ACCESS_TTL + SKEW + KEY_SET_AGE),
    # A family of refresh tokens is made with one key until its absolute end.
    Use.REFRESH: Times(published=timedelta(0), active=timedelta(days=30), retiring=REFRESH_END + SKEW),
    Use.SEAL: Times(published=timedelta(0), active=timedelta(days=90), retiring=TRAIL_END),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """What the rules need of a key. `state_time` is when it entered its state."""

    kid: str
    use: Use
    state: State
    state_time: datetime


def rotation_due(use: Use, keys: Sequence[Key], now: datetime) -> bool:
    """Say whether the clock asks for a rotation: no active key yet, or one that served its time with a successor known long enough."""
    active = in_state(use, keys, State.ACTIVE)
    following = in_state(use, keys, State.NEXT)
    if active is None or following is None:
        return True
    times = TIMES[use]
    return now - active.state_time >= times.active and now - following.state_time >= times.published


def gone(key: Key, now: datetime) -> bool:
    """Say whether nothing made with the key can be valid any more."""
    return key.state is State.RETIRING and now - key.state_time >= TIMES[key.use].retiring


def in_state(use: Use, keys: Sequence[Key], state: State) -> Key | None:
    """Return the key of a use in a state that at most one has."""
    return next((key for key in keys if key.use is use and key.state is state), None)
