"""The two ways of asking: as fast as answers come (for CPU per request), and at a rate that does not wait for answers (for latency)."""

import asyncio
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from statistics import quantiles
from typing import Final

from bench.load.connection import Connection

BROKEN: Final = 0
"""Counted instead of a status when the connection broke."""
UNANSWERED: Final = -1
"""Counted instead of a status when there was no answer long after the last request."""
LAST_ANSWERS_SECONDS: Final = 2.0
CONNECTIONS: Final = 256
"""Connections at the most: a request that is due waits here for one, as it would at a load balancer, and its time runs on."""


@dataclass
class Outcome:
    """What became of a run: latencies in milliseconds of answers that were 200, and how many were not, by status."""

    seconds: float = 0.0
    latencies: list[float] = field(default_factory=list)
    failures: Counter[int] = field(default_factory=Counter)

    @property
    def answered(self) -> int:
        """Number of answers that were 200."""
        return len(self.latencies)

    def percentile(self, percent: int) -> float:
        """Return a percentile of the latencies; infinite when next to nothing was answered."""
        return quantiles(self.latencies, n=100)[percent - 1] if len(self.latencies) > 1 else float("inf")

    def note(self, status: int, latency: float) -> None:
        """Count one answer."""
        if status == 200:
            self.latencies.append(latency * 1000)
        else:
            self.failures[status] += 1


class Generator:
    """A set of connections to one server, as many as there are requests under way."""

    def __init__(self, host: str, port: int, *, connections: int = CONNECTIONS) -> None:
        self._host, self._port = host, port
        self._idle: asyncio.LifoQueue[Connection] = asyncio.LifoQueue()
        self._slots = asyncio.Semaphore(connections)

    async def open(self, count: int) -> None:
        """Open connections before the clock runs."""
        for _ in range(count):
            self._idle.put_nowait(await Connection.open(self._host, self._port))

    async def closed_loop(self, requests: Iterator[bytes], *, clients: int, seconds: float) -> Outcome:
        """Let each client ask again as soon as it is answered."""
        outcome = Outcome()
        start = time.perf_counter()
        async with asyncio.TaskGroup() as group:
            for _ in range(clients):
                group.create_task(self._client(requests, start + seconds, outcome))
        outcome.seconds = time.perf_counter() - start
        return outcome

    async def open_loop(self, requests: Iterator[bytes], *, rate: float, seconds: float) -> Outcome:
        """Send at a fixed rate, whatever the answers do; a request's time starts when it was due (no coordinated omission)."""
        outcome = Outcome()
        start = time.perf_counter()
        asked: list[asyncio.Task[None]] = []
        for number in range(int(rate * seconds)):
            due = start + number / rate
            await asyncio.sleep(due - time.perf_counter())
            asked.append(asyncio.create_task(self._once(next(requests), due, outcome)))
        _, late = await asyncio.wait(asked, timeout=LAST_ANSWERS_SECONDS)
        outcome.seconds = time.perf_counter() - start
        outcome.failures[UNANSWERED] += len(late)
        for task in late:
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)
        return outcome

    def close(self) -> None:
        """Close all connections."""
        while not self._idle.empty():
            self._idle.get_nowait().close()

    async def _client(self, requests: Iterator[bytes], end: float, outcome: Outcome) -> None:
        for request in requests:
            if (now := time.perf_counter()) >= end:
                return
            await self._once(request, now, outcome)

    async def _once(self, request: bytes, due: float, outcome: Outcome) -> None:
        """Ask on an idle connection, or on a new one; a broken one is thrown away."""
        async with self._slots:
            try:
                connection = await self._take()
                status = await connection.send(request)
            except OSError:
                outcome.note(BROKEN, 0.0)
                return
            outcome.note(status, time.perf_counter() - due)
            self._idle.put_nowait(connection)

    async def _take(self) -> Connection:
        """Return an idle connection that the server has not closed meanwhile, or a new one."""
        while not self._idle.empty():
            connection = self._idle.get_nowait()
            if not connection.is_closed:
                return connection
        return await Connection.open(self._host, self._port)
