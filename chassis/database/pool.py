"""The connections of a process: a few that all reads share, and some that are lent to one transaction each."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from time import monotonic, perf_counter
from typing import Any, Final, Self

import structlog
from psycopg import AsyncConnection, OperationalError
from sqlalchemy import text

from chassis.database.decoding import Found, Row
from chassis.database.liveness import ALIVE
from chassis.database.pipeline import Pipeline
from chassis.database.setting import ENTER
from chassis.database.statements import Query
from chassis.sealing.keys import Memory
from chassis.telemetry import metrics

WAITING_PER_PIPELINE: Final = 25  # units of work that may wait for a pipeline of their own; more are refused at once
UNDER_WAY_PER_PIPELINE: Final = 100  # reads that may be under way on a shared pipeline; more are refused at once
PIPELINE_SECONDS: Final = 3600.0  # a pipeline that is older goes when it comes back: a server process grows with what it has seen
SHARED: Final = 2  # pipelines that all reads go over: one more than is needed, so that a slow statement on one holds up half
PAUSE: Final = 0.2  # seconds between two tries to reach a database that is away

PING: Final = Query(text("SELECT 1"))

log = structlog.get_logger()


class CrowdedError(OperationalError):
    """More work is waiting than the connections can take."""


class WrongTenantError(OperationalError):
    """The server answers for another tenant than was asked for: the pipeline is out of step and closed."""


async def connected(dsn: str) -> Pipeline:
    """Return a pipeline of its own; OperationalError if the server does not take it."""
    return Pipeline(await AsyncConnection.connect(dsn, autocommit=True, **ALIVE))


@asynccontextmanager
async def pipeline(dsn: str) -> AsyncIterator[Pipeline]:
    """Open a pipeline for the length of a block."""
    opened = await connected(dsn)
    try:
        yield opened
    finally:
        opened.close()


class Database:
    """The connections of one service's role: two that reads share, and `size` for transactions.

    All speak the extended protocol alone: a statement with a second one behind a semicolon is refused by the server. Without
    `keys`, nothing personal can be published.
    """

    def __init__(self, dsn: str, *, size: int = 8, timeout: float = 2.0, keys: Memory | None = None) -> None:
        self.keys = keys
        self._shared = _Shared(dsn, SHARED)
        self._own = _Own(dsn, size, timeout)

    async def __aenter__(self) -> Self:
        await asyncio.gather(self._shared.open(), self._own.open())
        metrics.POOL_CONNECTIONS.labels("idle").set_function(lambda: len(self._own.free))
        metrics.POOL_CONNECTIONS.labels("used").set_function(lambda: self._own.lent)
        metrics.POOL_CONNECTIONS.labels("shared").set_function(lambda: sum(not pipeline.lost for pipeline in self._shared.pipelines))
        return self

    async def __aexit__(self, *_: object) -> None:
        self._shared.close()
        self._own.close()

    async def read(self, tenant_id: str, query: Query, values: dict[str, Any]) -> list[Row]:
        """Return the rows of a statement that only reads."""
        return (await self.find(tenant_id, query, values)).rows()

    async def find(self, tenant_id: str, query: Query, values: dict[str, Any]) -> Found:
        """Return what a statement finds that only reads, for a tenant or for none; on a pipeline that others read on too."""
        parameters = query.parameters(values)
        pipeline = await self._shared.least_busy()
        if not tenant_id:
            return (await pipeline.ask(query, values)).found()
        pipeline.prepare((ENTER, query))
        pipeline.put(ENTER, ENTER.parameters({"tenant": tenant_id}))
        pipeline.put(query, parameters)
        entered, answer = (await pipeline.sync()).all()
        if entered.rows() != [{"tenant": tenant_id}]:
            pipeline.close()
            raise WrongTenantError("the database answers for another tenant")
        return answer.found()

    async def take(self) -> Pipeline:
        """Return a pipeline of the caller's own until `give`; wait for one at most the time-out."""
        return await self._own.take()

    def give(self, pipeline: Pipeline) -> None:
        """Take a pipeline back that is at rest; one that is lost is replaced when there is need."""
        self._own.give(pipeline)

    async def ping(self) -> None:
        """Raise if the database does not answer."""
        await self.read("", PING, {})


class _Shared:
    """Pipelines that all reads go over; lost ones are replaced in the background while the others carry on."""

    def __init__(self, dsn: str, size: int) -> None:
        self.pipelines: list[Pipeline] = []
        self._dsn = dsn
        self._size = size
        self._opening: asyncio.Task[None] | None = None
        self._not_before = 0.0

    async def open(self) -> None:
        """Open the pipelines that are missing."""
        while len(self.pipelines) < self._size:
            self.pipelines.append(await connected(self._dsn))

    def close(self) -> None:
        """Close them all."""
        if self._opening is not None:
            self._opening.cancel()
        while self.pipelines:
            self.pipelines.pop().close()

    async def least_busy(self) -> Pipeline:
        """Return the pipeline with the shortest queue; OperationalError if there is none, CrowdedError if all are full."""
        pipelines = self.pipelines
        if any(pipeline.lost for pipeline in pipelines) or len(pipelines) < self._size:
            pipelines = await self._mended()
        pipeline = min(pipelines, key=_load)
        if pipeline.load >= UNDER_WAY_PER_PIPELINE:
            raise CrowdedError("more reads are under way than the database answers")
        return pipeline

    async def _mended(self) -> list[Pipeline]:
        """Return the pipelines that live, and see to it that there will be more."""
        self.pipelines[:] = [pipeline for pipeline in self.pipelines if not pipeline.lost]
        if self._opening is None or self._opening.done():
            self._opening = asyncio.create_task(self._reopen(), name="pipelines")
        if not self.pipelines:
            await asyncio.wait([self._opening])
        if not self.pipelines:
            raise OperationalError("there is no connection to the database")
        return self.pipelines

    async def _reopen(self) -> None:
        """Try once; where the last try failed, after a pause, so that a database that comes up is not held up by us."""
        await asyncio.sleep(self._not_before - monotonic())
        try:
            await self.open()
        except OperationalError as error:
            self._not_before = monotonic() + PAUSE
            log.warning("database_not_reached", error_type=type(error).__name__)


class _Own:
    """Pipelines that are lent to one unit of work each."""

    def __init__(self, dsn: str, size: int, timeout: float) -> None:
        self.free: list[Pipeline] = []
        self.lent = 0
        self._dsn = dsn
        self._timeout = timeout
        self._room = asyncio.Semaphore(size)
        self._waiting = 0
        self._most_waiting = size * WAITING_PER_PIPELINE
        self._closed = False

    async def open(self) -> None:
        """Open the first pipeline: the others come with need."""
        self.free.append(await connected(self._dsn))

    def close(self) -> None:
        """Close what is not lent; the rest is closed when it comes back."""
        self._closed = True
        while self.free:
            self.free.pop().close()

    async def take(self) -> Pipeline:
        """Return a pipeline, an open one if there is any."""
        started = perf_counter()
        if self._room.locked():
            await self._turn()
        else:
            await self._room.acquire()
        metrics.POOL_WAIT.observe(perf_counter() - started)
        self.lent += 1
        try:
            return self._open_one() or await connected(self._dsn)
        except BaseException:
            self._left()
            raise

    def give(self, pipeline: Pipeline) -> None:
        """Take it back, open or lost."""
        if self._closed or pipeline.load or monotonic() - pipeline.since > PIPELINE_SECONDS:
            pipeline.close()
        if not pipeline.lost:
            self.free.append(pipeline)
        self._left()

    async def _turn(self) -> None:
        if self._waiting >= self._most_waiting:
            raise CrowdedError("more work is waiting than the database can take")
        self._waiting += 1
        try:
            async with asyncio.timeout(self._timeout):
                await self._room.acquire()
        except TimeoutError:
            raise CrowdedError("no connection came free in time") from None
        finally:
            self._waiting -= 1

    def _open_one(self) -> Pipeline | None:
        while self.free:
            if not (pipeline := self.free.pop()).lost:
                return pipeline
        return None

    def _left(self) -> None:
        self.lent -= 1
        self._room.release()


def _load(pipeline: Pipeline) -> int:
    return pipeline.load
