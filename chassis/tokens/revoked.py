"""The sessions that ended lately: an access token of one is refused although its time is not over."""

from typing import Final

from chassis import clock
from chassis.tokens.claims import MAX_LIFETIME, SKEW

REMEMBERED: Final = MAX_LIFETIME + 2 * SKEW  # seconds; after them no token of the session is valid any more


class Revoked:
    """Ended sessions of the last quarter of an hour, by id; filled from events."""

    def __init__(self) -> None:
        self._until: dict[str, float] = {}

    def __len__(self) -> int:
        return len(self._until)

    def __contains__(self, session_id: str) -> bool:
        """Say whether the session ended; one that is remembered too long is harmless, since its tokens expired."""
        return session_id in self._until

    def add(self, session_id: str) -> None:
        """Remember that a session ended, and forget those whose tokens have all expired."""
        now = clock.now().timestamp()
        self._until.pop(session_id, None)
        self._until[session_id] = now + REMEMBERED
        self._forget(now)

    def _forget(self, now: float) -> None:
        """Drop from the front: every session is remembered equally long, so they stand in order of their end."""
        while self._until:
            oldest = next(iter(self._until))
            if self._until[oldest] > now:
                return
            del self._until[oldest]
