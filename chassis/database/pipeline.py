"""A pipeline: one connection in libpq's pipeline mode, on which batches are under way back to back, each answered in its order.

https://www.postgresql.org/docs/18/libpq-pipeline-mode.html. A batch ends with a Sync. Outside of BEGIN it is one implicit
transaction: all of its statements have their effect, or none has.
"""

import asyncio
import select
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable
from time import monotonic
from typing import Any, Final, NamedTuple

from psycopg import AsyncConnection, Error, OperationalError, errors
from psycopg.pq import ExecStatus, Format
from psycopg.pq.abc import PGresult

from chassis.database.decoding import Columns, Found, Row
from chassis.database.statements import Query

KEPT_PREPARED: Final = 1_000
"""Statements that a connection keeps prepared; lists with all their filters are more than that."""

Parameters = list[bytes | None]

_OUTDATED: Final = "cached plan must not change result type"
"""A migration changed what is prepared here; the server gives it no code of its own."""

_GOOD: Final = frozenset({ExecStatus.TUPLES_OK, ExecStatus.COMMAND_OK, ExecStatus.EMPTY_QUERY})


class LostError(OperationalError):
    """The connection is gone; what was under way on it may have been done or not."""


class Prepared:
    """A statement that the server knows on a connection, and how its rows are read; the first result tells that."""

    __slots__ = ("_columns", "error", "name")

    def __init__(self, name: bytes) -> None:
        self.name = name
        self.error: Error | None = None
        """Why it could not be prepared: who sent it to be run meanwhile is told this."""
        self._columns: Columns | None = None

    def found(self, result: PGresult) -> Found:
        """Return what a result of this statement holds."""
        if self._columns is None:
            self._columns = Columns(result)
        return Found(result, self._columns)


class Answer(NamedTuple):
    """What came back for one statement."""

    prepared: Prepared
    result: PGresult

    def found(self) -> Found:
        """Return its rows, which are read as they are asked for."""
        return self.prepared.found(self.result)

    def rows(self) -> list[Row]:
        """Return its rows."""
        return self.found().rows()

    @property
    def touched(self) -> int:
        """Return how many rows it touched."""
        return self.result.command_tuples or 0

    @property
    def tag(self) -> bytes:
        """Return what the server says was done, such as COMMIT."""
        return self.result.command_status or b""


class Answers(NamedTuple):
    """What came back for a batch, up to the first statement that failed, and its error."""

    answers: list[Answer]
    error: Error | None

    def all(self) -> list[Answer]:
        """Return what came back for every statement, or raise the error."""
        if self.error is not None:
            raise self.error
        return self.answers


class Batch:
    """What is sent up to a Sync, and what came back so far."""

    __slots__ = ("answered", "results", "runs", "sent")

    def __init__(self) -> None:
        self.answered: asyncio.Future[Answers] = asyncio.get_running_loop().create_future()
        self.sent: list[Prepared] = []
        """The statements that were sent, in their order: to be prepared, run or closed."""
        self.runs: list[int] = []
        """The places of those that were sent to be run."""
        self.results: list[PGresult] = []

    @property
    def complete(self) -> bool:
        """Say whether all that was sent has its result."""
        return len(self.results) == len(self.sent)


class Pipeline:
    """Sends batches on a connection and hands each what came back for it.

    What belongs to one batch stands on the wire without a gap, so that nothing of another comes between. A pipeline whose
    connection is lost answers all that is under way with LostError, and takes nothing more.
    """

    def __init__(self, connection: AsyncConnection[Any]) -> None:
        self.connection = connection
        self.lost = False
        self.since = monotonic()
        self._pg = connection.pgconn
        self._pg.nonblocking = 1
        self._pg.enter_pipeline_mode()
        self._socket = self._pg.socket
        self._ready = select.poll()
        self._ready.register(self._socket, select.POLLIN)
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._socket, self._read)
        self._writing = False
        self._open: Batch | None = None
        self._under_way: deque[Batch] = deque()
        self._prepared: OrderedDict[bytes, Prepared] = OrderedDict()

    @property
    def load(self) -> int:
        """Return how many batches are under way."""
        return len(self._under_way)

    def prepare(self, queries: Iterable[Query]) -> None:
        """See to it that statements are prepared, in a batch of its own: where one cannot be, only those who run it hear of it."""
        for query in queries:
            if query.name not in self._prepared:
                self._prepare(query)
        if self._open is not None:
            self.sync()

    def put(self, query: Query, parameters: Parameters) -> int:
        """Add a statement to the open batch; return the place of its answer."""
        batch = self._batch()
        prepared = self._prepared.get(query.name) or self._prepare(query)
        self._send(self._pg.send_query_prepared, query.name, parameters, query.formats, Format.BINARY)
        batch.runs.append(len(batch.sent))
        batch.sent.append(prepared)
        return len(batch.runs) - 1

    def sync(self) -> asyncio.Future[Answers]:
        """End the open batch; return what becomes its answers. Only the loss of the connection is raised."""
        batch = self._batch()
        self._open = None
        self._send(self._pg.pipeline_sync)
        self.flush()
        return batch.answered

    async def ask(self, query: Query, values: dict[str, Any]) -> Answer:
        """Run a statement as a transaction of its own."""
        parameters = query.parameters(values)
        self.prepare([query])
        place = self.put(query, parameters)
        return (await self.sync()).all()[place]

    def close(self) -> None:
        """Give up the connection and whatever is under way on it."""
        if self.lost:
            return
        self.lost = True
        self._loop.remove_reader(self._socket)
        self._loop.remove_writer(self._socket)
        self._pg.finish()
        while self._under_way:
            answered = self._under_way.popleft().answered
            if not answered.done():
                answered.set_exception(LostError("the connection to the database is gone"))
                answered.exception()  # looked at here: who still waits is told, and nobody may wait

    def _batch(self) -> Batch:
        if self.lost:
            raise LostError("the connection to the database is gone")
        if self._open is None:
            self._open = Batch()
            self._under_way.append(self._open)
        return self._open

    def _prepare(self, query: Query) -> Prepared:
        batch = self._batch()
        if len(self._prepared) >= KEPT_PREPARED:
            _, oldest = self._prepared.popitem(last=False)
            self._send(self._pg.send_close_prepared, oldest.name)
            batch.sent.append(oldest)
        self._send(self._pg.send_prepare, query.name, query.command)
        prepared = self._prepared[query.name] = Prepared(query.name)
        batch.sent.append(prepared)
        return prepared

    def _send(self, send: Callable[..., None], *parts: Any) -> None:
        """Close the connection where something cannot be sent: half a batch would become part of the next one."""
        try:
            send(*parts)
        except OperationalError:
            self.close()
            raise

    def flush(self) -> None:
        """Send what the server takes now, and the rest as soon as it takes more."""
        try:
            left = bool(self._pg.flush())
        except OperationalError:
            self.close()
            return
        if left != self._writing:
            self._writing = left
            if left:
                self._loop.add_writer(self._socket, self.flush)
            else:
                self._loop.remove_writer(self._socket)

    def _read(self) -> None:
        """Take everything that is here, answers before the end that stands behind them.

        libuv tells of a socket with an error once: whoever leaves its end unread never hears of it.
        """
        try:
            self._take()
            while not self.lost and self._ready.poll(0):
                self._take()
        except OperationalError:
            self.close()

    def _take(self) -> None:
        self._pg.consume_input()
        self._collect()

    def _collect(self) -> None:
        """Take all results that are here; a batch is answered when its Sync is."""
        under_way, pg = self._under_way, self._pg
        while under_way and not pg.is_busy():
            batch = under_way[0]
            result = pg.get_result()
            if result is None:
                if batch is self._open and batch.complete:
                    return
            elif result.status == ExecStatus.PIPELINE_SYNC:
                under_way.popleft()
                self._answer(batch)
            else:
                batch.results.append(result)

    def _answer(self, batch: Batch) -> None:
        failed = next((place for place, result in enumerate(batch.results) if result.status not in _GOOD), None)
        error = None if failed is None else self._failed(batch, failed)
        if not batch.answered.done():
            places = batch.runs if failed is None else [place for place in batch.runs if place < failed]
            batch.answered.set_result(Answers([Answer(batch.sent[place], batch.results[place]) for place in places], error))

    def _failed(self, batch: Batch, failed: int) -> Error:
        """Return the error, and forget what was not prepared because of it."""
        error = batch.sent[failed].error or errors.error_from_result(batch.results[failed])
        for place in range(failed, len(batch.sent)):
            prepared = batch.sent[place]
            if place not in batch.runs and self._prepared.get(prepared.name) is prepared:
                prepared.error = error
                del self._prepared[prepared.name]
        if _OUTDATED in (error.diag.message_primary or ""):
            self.close()
        return error
