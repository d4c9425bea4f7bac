"""A circuit breaker: after some failures in a row a target is left alone for a while, then one call tries whether it is back."""

import random
from collections.abc import Callable
from time import monotonic
from typing import Final

from chassis.errors import Reason, Unavailable
from chassis.telemetry import metrics

FAILURES: Final = 5  # in a row open it
FIRST_REST: Final = 0.5  # seconds, doubled with each probe that fails up to
LONGEST_REST: Final = 15.0

_random: Final = random.Random()  # noqa: S311 - spreads probes of many processes


class Breaker:
    """Closed: calls pass. Open: they are refused until the rest is over. Half open: one passes and decides."""

    def __init__(self, target: str, *, clock: Callable[[], float] = monotonic) -> None:
        self._target = target
        self._clock = clock
        self._failures = 0
        self._rest = FIRST_REST
        self._until = 0.0
        self._probing = False
        self._gauge = metrics.BREAKER_OPEN.labels(target)
        self._gauge.set(0)

    def check(self) -> None:
        """Let a call pass, or raise Unavailable. A call that passed must end in one of `succeeded`, `failed`, `given_up`."""
        if self._failures < FAILURES:
            return
        left = self._until - self._clock()
        if left > 0 or self._probing:
            raise Unavailable(Reason.UNAVAILABLE, f"{self._target} does not answer", retry_after=max(left, FIRST_REST))
        self._probing = True

    def succeeded(self) -> None:
        """Count a call that the target answered, be it with a refusal."""
        self._failures = 0
        self._rest = FIRST_REST
        self._probing = False
        self._gauge.set(0)

    def failed(self) -> None:
        """Count a call that the target did not answer."""
        self._failures += 1
        if self._failures < FAILURES:
            return
        if self._probing:
            self._rest = min(self._rest * 2, LONGEST_REST)
        self._until = self._clock() + self._rest * _random.uniform(0.8, 1.2)
        self._probing = False
        self._gauge.set(1)

    def given_up(self) -> None:
        """Forget a call whose caller went away: it says nothing about the target."""
        self._probing = False
