"""Order: events of one key of a tenant, its lane, one after the other, lanes side by side; what failed is waited for by its lane alone."""

import asyncio
import random
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final

from chassis import clock

CONCURRENCY: Final = 4  # events handled at once, each with a connection; calls must find some of the pool's eight free
LONGEST_DELAY: Final = 300.0  # seconds between two tries
SPARE: Final = 60.0  # seconds beyond its next try after which a failed event is not waited for any more

_random: Final = random.Random()  # noqa: S311 - spreads retries


@dataclass(frozen=True, slots=True)
class Ticket:
    """One delivery of an event: its lane, its place in the stream, and how often it was delivered, this time included."""

    lane: str
    sequence: int
    tries: int


@dataclass(frozen=True, slots=True)
class Failed:
    """An event that its lane waits for: how often it failed by a fault of its own, and since when. `until` is on the event loop's clock."""

    sequence: int
    faults: int = 0
    since: datetime = field(default_factory=clock.now)
    until: float = 0


class Backlog:
    """Which lanes wait for which failed event. It is this process's memory: a handler still checks versions."""

    def __init__(self) -> None:
        self._failed: dict[str, Failed] = {}

    def wait(self, ticket: Ticket) -> float:
        """Return for how many seconds a delivery has to stand back behind an earlier event of its lane; 0 if it has not."""
        failed = self._failed.get(ticket.lane)
        if failed is None or failed.sequence >= ticket.sequence:
            return 0
        left = failed.until - asyncio.get_running_loop().time()
        if left <= 0:
            del self._failed[ticket.lane]
            return 0
        return max(1.0, left - SPARE)

    def fault(self, ticket: Ticket) -> Failed:
        """Count a try that failed by a fault of the event's own, and return how often that was so."""
        known = self._known(ticket)
        failed = self._failed[ticket.lane] = replace(known, faults=known.faults + 1)
        return failed

    def again(self, ticket: Ticket) -> float:
        """Let the lane wait for a failed event, and return in how many seconds to try it again: doubled each time."""
        delay = min(2.0 ** min(ticket.tries - 1, 10), LONGEST_DELAY) * _random.uniform(0.8, 1.2)
        until = asyncio.get_running_loop().time() + delay + SPARE
        self._failed[ticket.lane] = replace(self._known(ticket), until=until)
        return delay

    def done(self, ticket: Ticket) -> None:
        """Let the lane go on if this is what it waited for."""
        failed = self._failed.get(ticket.lane)
        if failed is not None and failed.sequence <= ticket.sequence:
            del self._failed[ticket.lane]

    def _known(self, ticket: Ticket) -> Failed:
        failed = self._failed.get(ticket.lane)
        return failed if failed is not None and failed.sequence == ticket.sequence else Failed(ticket.sequence)


Work = Callable[[], Awaitable[None]]


class Lanes:
    """Runs work that must not raise: in a lane one after the other, in the order in which it was added, and lanes side by side."""

    def __init__(self) -> None:
        self._slots = asyncio.Semaphore(CONCURRENCY)
        self._lanes: dict[str, deque[Work]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def add(self, name: str, work: Work) -> None:
        """Put work behind what there is in its lane."""
        lane = self._lanes.get(name)
        if lane is not None:
            lane.append(work)
            return
        self._lanes[name] = deque([work])
        task = asyncio.create_task(self._run(name))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def drained(self) -> None:
        """Return when everything was worked on."""
        await asyncio.gather(*self._tasks)

    async def abandon(self) -> None:
        """Cancel what runs and drop the rest, what somebody adds meanwhile included."""
        while self._tasks:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
        self._lanes.clear()

    async def _run(self, name: str) -> None:
        lane = self._lanes[name]
        while lane:
            async with self._slots:
                await lane.popleft()()
        del self._lanes[name]
