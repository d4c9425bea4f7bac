"""The relay: carries committed events from the outbox to their stream, in order for each key, at least once."""

import asyncio
from collections import defaultdict, deque
from collections.abc import Sequence
from time import monotonic
from typing import Final, Self

import nats.errors
import structlog
from nats.js.errors import APIError
from sqlalchemy import ARRAY, BigInteger, Double, Text, bindparam, func, select, text

from chassis import names, turns
from chassis.database import outbox
from chassis.database.decoding import Row
from chassis.database.pipeline import Pipeline
from chassis.database.statements import Query
from chassis.database.system_tables import outbox as table
from chassis.events.broker import Broker
from chassis.events.envelope import Envelope
from chassis.events.held import Held
from chassis.events.leadership import lead, sleep_unless
from chassis.events.window import Message, Window
from chassis.telemetry import metrics

BATCH: Final = 1024  # rows read at once
PIECE: Final = 32  # rows that are read or made messages at once; more of them give way to calls
POLL: Final = 0.25  # seconds between two looks at the outbox when nobody pokes: commits of other processes
FIRST_PAUSE: Final = 0.1  # seconds after a failure, doubled up to
LONGEST_PAUSE: Final = 10.0
DRAIN_SECONDS: Final = 5.0
MEASURED: Final = 5.0  # seconds between two measurements of the backlog
COUNTED: Final = 10_000  # rows; a longer backlog is not counted to its end

TOO_LARGE: Final = 10054  # JSStreamMessageExceedsMaximumErr of nats-server

_FORGETFUL: Final = Query(text("SET synchronous_commit TO off"))
"""A server that crashes may forget the marks of the last moments: what they are on is carried again, and the stream has it already."""
_PENDING: Final = Query(
    select(*(column for column in table.c if column is not table.c.published_at))
    .where(table.c.published_at.is_(None), table.c.key != func.all(bindparam("held", type_=ARRAY(Text()))))
    .order_by(table.c.seq)
    .limit(bindparam("size", type_=BigInteger()))
)
_MARK: Final = Query(
    table.update().where(table.c.seq == func.any(bindparam("seqs", type_=ARRAY(BigInteger())))).values(published_at=func.now())
)
_OLDEST = select(table.c.created_at).where(table.c.published_at.is_(None)).order_by(table.c.seq).limit(COUNTED).subquery()
_AGE = func.coalesce(func.extract("epoch", func.now() - func.min(_OLDEST.c.created_at)), 0)
_BACKLOG: Final = Query(select(func.count().label("pending"), _AGE.cast(Double()).label("age")))

log = structlog.get_logger()


class Relay:
    """Runs inside its block; only one of a service's processes carries at a time. `dsn` is the system role's."""

    def __init__(self, broker: Broker, *, service: str, dsn: str) -> None:
        self._window = Window(broker.client, names.stream(service))
        self._dsn = dsn
        self._poked = outbox.waker()
        self._stopping = asyncio.Event()
        self._measured = 0.0
        self._held = Held()

    async def __aenter__(self) -> Self:
        self._running = asyncio.create_task(lead(self._dsn, "relay", self._carry, self._stopping), name="relay")
        return self

    async def __aexit__(self, *_: object) -> None:
        """Carry what is there and end; what cannot be carried in time stays in the outbox."""
        self._stopping.set()
        self._poked.set()
        await asyncio.wait([self._running], timeout=DRAIN_SECONDS)
        self._running.cancel()
        await asyncio.gather(self._running, return_exceptions=True)

    async def _carry(self, connection: Pipeline) -> None:
        """Carry until nothing is left after the stop; come back after a pause when NATS takes nothing."""
        turns.begin_long_work()
        await connection.ask(_FORGETFUL, {})
        pause, carried, failed = FIRST_PAUSE, list[int](), False
        while True:
            last = self._stopping.is_set()  # before the look: what is committed before the stop has to be seen by it
            self._poked.clear()
            rows = await self._next(connection, carried)
            await self._measure(connection)
            if last and (failed or not rows):
                return
            if failed:
                await sleep_unless(self._stopping, pause)
                pause = min(pause * 2, LONGEST_PAUSE)
            elif not rows:
                await sleep_unless(self._poked, POLL)
            carried = await self._publish(rows)
            failed = len(carried) < sum(row["key"] not in self._held for row in rows)
            if not failed:
                pause = FIRST_PAUSE

    async def _next(self, connection: Pipeline, carried: Sequence[int]) -> list[Row]:
        """Mark what the stream has, and return what it has not, in one round trip."""
        connection.prepare([_MARK, _PENDING])
        if carried:
            connection.put(_MARK, _MARK.parameters({"seqs": carried}))
        connection.put(_PENDING, _PENDING.parameters({"size": BATCH, "held": self._held.waiting()}))
        answers = (await connection.sync()).all()
        metrics.OUTBOX_PUBLISHED.inc(len(carried))
        found = answers[-1].found()
        return await turns.mapped(found.row, range(found.size), by=PIECE)

    async def _publish(self, rows: Sequence[Row]) -> list[int]:
        """Return the rows that the stream has now. Events of one key go one after the other, keys side by side."""
        keys: dict[str, deque[Row]] = defaultdict(deque)
        for row in rows:
            keys[row["key"]].append(row)
        lanes = list(keys.values())
        carried: list[int] = []
        while lanes:
            carried += await self._publish_firsts(lanes)
            lanes = [lane for lane in lanes if lane]
        return carried

    async def _publish_firsts(self, lanes: Sequence[deque[Row]]) -> list[int]:
        """Publish the first event of each key; where that fails, leave the key's other ones: they must not overtake it."""
        failures = await self._window.publish(await turns.mapped(lambda lane: _message(lane[0]), lanes, by=PIECE))
        carried: list[int] = []
        for lane, failure in zip(lanes, failures, strict=True):
            if failure is None:
                self._held.release(lane[0]["key"])
                carried.append(lane.popleft()["seq"])
            else:
                self._failed(lane[0], failure)
                lane.clear()
        return carried

    def _failed(self, row: Row, error: Exception) -> None:
        if isinstance(error, nats.errors.MaxPayloadError) or (isinstance(error, APIError) and error.err_code == TOO_LARGE):
            self._held.hold(row["key"])
            log.error("event_too_large", message_id=row["id"], subject=row["subject"], size=len(row["payload"]))
        else:
            log.warning("publish_failed", error_type=type(error).__name__, message_id=row["id"])

    async def _measure(self, connection: Pipeline) -> None:
        if monotonic() - self._measured < MEASURED:
            return
        self._measured = monotonic()
        (row,) = (await connection.ask(_BACKLOG, {})).rows()
        metrics.OUTBOX_PENDING.set(row["pending"])
        metrics.OUTBOX_OLDEST_AGE.set(row["age"])


def _message(row: Row) -> Message:
    return Message(row["subject"], row["payload"], Envelope.of_row(row).headers())
