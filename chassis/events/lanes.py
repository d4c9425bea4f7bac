"""Order: events of one key one after the other, keys side by side, and what failed is waited for by its key alone."""

import asyncio
import random
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

CONCURRENCY: Final = 4  # events handled at once, each with a connection; calls must find some of the pool's eight free
LONGEST_DELAY: Final = 300.0  # seconds between two tries
SPARE: Final = 60.0  # seconds beyond its next try after which a failed event is not waited for any more

_random: Final = random.Random()  # noqa: S311 - spreads retries


@dataclass(frozen=True, slots=True)
class Ticket:
    """One delivery of an event: its key, its place in the stream, and how often it was delivered, this time included."""

    key: str
    sequence: int
    tries: int


@dataclass(frozen=True, slots=True)
class _Failed:
    sequence: int
    until: float


class Backlog:
    """Which keys wait for which failed event. It is this process's memory: a handler still checks versions."""

    def __init__(self) -> None:
        self._failed: dict[str, _Failed] = {}

    def wait(self, ticket: Ticket) -> float:
        """Return for how many seconds a delivery has to stand back behind an earlier event of its key; 0 if it has not."""
        failed = self._failed.get(ticket.key)
        if failed is None or failed.sequence >= ticket.sequence:
            return 0
        left = failed.until - asyncio.get_running_loop().time()
        if left <= 0:
            del self._failed[ticket.key]
            return 0
        return max(1.0, left - SPARE)

    def failed(self, ticket: Ticket) -> float:
        """Remember that a delivery failed and return in how many seconds to try again: doubled each time."""
        delay = min(2.0 ** min(ticket.tries - 1, 10), LONGEST_DELAY) * _random.uniform(0.8, 1.2)
        self._failed[ticket.key] = _Failed(ticket.sequence, asyncio.get_running_loop().time() + delay + SPARE)
        return delay

    def done(self, ticket: Ticket) -> None:
        """Let the key go on if this is what it waited for."""
        failed = self._failed.get(ticket.key)
        if failed is not None and failed.sequence <= ticket.sequence:
            del self._failed[ticket.key]


class Lanes:
    """Runs work, which must not raise, for tickets: one of a key at a time, in the order of their arrival."""

    def __init__(self, work: Callable[[Ticket], Awaitable[None]]) -> None:
        self._work = work
        self._slots = asyncio.Semaphore(CONCURRENCY)
        self._lanes: dict[str, deque[Ticket]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def add(self, ticket: Ticket) -> None:
        """Put a ticket behind the others of its key."""
        lane = self._lanes.get(ticket.key)
        if lane is not None:
            lane.append(ticket)
            return
        self._lanes[ticket.key] = deque([ticket])
        task = asyncio.create_task(self._run(ticket.key))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def drained(self) -> None:
        """Return when every ticket was worked on."""
        await asyncio.gather(*self._tasks)

    async def abandon(self) -> None:
        """Cancel what runs and drop the rest."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._lanes.clear()

    async def _run(self, key: str) -> None:
        lane = self._lanes[key]
        while lane:
            async with self._slots:
                await self._work(lane.popleft())
        del self._lanes[key]
