"""Keys whose next event the stream does not take, such as one that is too large: they wait by themselves, and nobody waits for them."""

from collections.abc import Callable
from time import monotonic
from typing import Final

from chassis.telemetry import metrics

PAUSE: Final = 10.0  # seconds between two tries of such a key: only an operator changes what is too large


class Held:
    """The keys that wait now, each until its next try."""

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self._until: dict[str, float] = {}

    def __contains__(self, key: str) -> bool:
        return key in self._until

    def waiting(self) -> list[str]:
        """Return the keys that are not to be tried yet."""
        now = self._clock()
        return [key for key, until in self._until.items() if until > now]

    def hold(self, key: str) -> None:
        """Let a key wait."""
        self._until[key] = self._clock() + PAUSE
        metrics.OUTBOX_HELD.set(len(self._until))

    def release(self, key: str) -> None:
        """Let a key go on, if it waited."""
        if self._until.pop(key, None) is not None:
            metrics.OUTBOX_HELD.set(len(self._until))
