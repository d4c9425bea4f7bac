"""Who is let in when there is more work than a service takes: so many calls at once, a few that wait a moment, the rest are refused.

What is refused at once costs next to nothing, and what is let in is answered in time. Gates keep kinds of work apart: a rush of
writes, or a service that does not answer, holds up nothing else.
"""

import asyncio
from types import TracebackType
from typing import Final

from chassis.errors import Reason
from chassis.telemetry import metrics
from gateway.problems import Problem

MOST_WAITING: Final = 500  # calls that wait for their turn at one gate
PATIENCE: Final = 0.5  # seconds that a call waits for its turn where waiting is rare: a burst is worked off
SHORT_PATIENCE: Final = 0.05  # seconds that it waits where the queue does not end: there waiting only makes everybody late
STANDING: Final = 0.5  # seconds after which a queue is one that does not end (the idea of CoDel, RFC 8289)


class Gate:
    """The calls of one kind: entered before a call, left after it."""

    def __init__(self, service: str, tier: str, *, size: int) -> None:
        self._labels = (service, tier)
        self._size = self._free = size
        self._waiting: dict[asyncio.Future[None], None] = {}
        self._queue_since = 0.0

    def check(self) -> None:
        """Raise a 503 before anything is read or parsed, where nobody who comes now would get a place in time."""
        if len(self._waiting) >= self._size and self._stands():
            raise self._refusal()

    async def __aenter__(self) -> None:
        """Take a place; raise a 503 if none comes free in time."""
        if self._free and not self._waiting:
            self._free -= 1
        else:
            await self._turn()

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, stack: TracebackType | None) -> None:
        self._leave()

    async def _turn(self) -> None:
        if len(self._waiting) >= MOST_WAITING:
            raise self._refusal()
        loop = asyncio.get_running_loop()
        if not self._waiting:
            self._queue_since = loop.time()
        place: asyncio.Future[None] = loop.create_future()
        self._waiting[place] = None
        timer = loop.call_later(SHORT_PATIENCE if self._stands() else PATIENCE, self._give_up, place)
        try:
            await place
        except asyncio.CancelledError:
            if place.done() and not place.cancelled():
                self._leave()  # the place came in the moment in which nobody wanted it any more
            raise
        finally:
            timer.cancel()
            self._waiting.pop(place, None)

    def _stands(self) -> bool:
        return asyncio.get_running_loop().time() - self._queue_since > STANDING

    def _give_up(self, place: asyncio.Future[None]) -> None:
        if not place.done():
            place.set_exception(self._refusal())

    def _leave(self) -> None:
        """Hand the place to whoever waits longest."""
        while self._waiting:
            place = next(iter(self._waiting))
            del self._waiting[place]
            if not place.done():
                place.set_result(None)
                return
        self._free += 1

    def _refusal(self) -> Problem:
        metrics.OVERLOAD_REFUSALS.labels(*self._labels).inc()
        return Problem(503, Reason.OVERLOADED, "There is more work than is done in time; try again later.", retry_after=1)


class Gates:
    """The gates of one edge: one for each service and rate tier. Fewer writes are let in: a service does fewer in the same time."""

    def __init__(self, size: int, *, writes: int) -> None:
        self._size = size
        self._writes = writes
        self._gates: dict[tuple[str, str], Gate] = {}

    def gate(self, service: str, tier: str) -> Gate:
        """Return the gate of a tier's calls to a service."""
        size = self._writes if tier == "WRITE" else self._size
        return self._gates.setdefault((service, tier), Gate(service, tier, size=size))
