"""The connections of a process: few, prepared, extended protocol only."""

from time import perf_counter
from typing import Any, Final, Self

import orjson
from psycopg import AsyncConnection, adapt
from psycopg.rows import DictRow, dict_row
from psycopg.types.json import set_json_loads
from psycopg_pool import AsyncConnectionPool

from chassis.database import liveness
from chassis.database.arrays import Lists
from chassis.sealing.keys import Memory
from chassis.telemetry import metrics

OPEN_SECONDS: Final = 10
QUEUED_PER_CONNECTION: Final = 25  # units of work that may wait for one; more are refused at once


class _UuidText(adapt.Loader):
    """Ids are text everywhere above the database."""

    def load(self, data: adapt.Buffer) -> str:
        return bytes(data).decode()


class Database:
    """A pool of connections with the runtime role of one service.

    `prepare_threshold=0` prepares every statement at its first run, which also keeps psycopg off the simple protocol:
    a statement with a second one stacked behind a semicolon is refused by the server. Without `keys`, nothing personal can be
    published.
    """

    def __init__(self, dsn: str, *, size: int = 8, timeout: float = 2.0, keys: Memory | None = None) -> None:
        self.keys = keys
        self._pool: AsyncConnectionPool[AsyncConnection[DictRow]] = AsyncConnectionPool(
            dsn,
            connection_class=AsyncConnection[DictRow],
            min_size=min(2, size),
            max_size=size,
            timeout=timeout,
            max_waiting=size * QUEUED_PER_CONNECTION,
            kwargs={"prepare_threshold": 0, "row_factory": dict_row, **liveness.ALIVE},
            configure=_configure,
            open=False,
        )

    async def __aenter__(self) -> Self:
        await self._pool.open(wait=True, timeout=OPEN_SECONDS)
        metrics.POOL_CONNECTIONS.labels("idle").set_function(self._idle)
        metrics.POOL_CONNECTIONS.labels("used").set_function(self._used)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._pool.close()

    async def take(self) -> AsyncConnection[DictRow]:
        """Return a connection of the caller's own until `give`; wait for one at most the pool's time-out."""
        started = perf_counter()
        connection = await self._pool.getconn()
        while liveness.was_closed(connection):
            await connection.close()
            await self.give(connection)
            connection = await self._pool.getconn()
        metrics.POOL_WAIT.observe(perf_counter() - started)
        return connection

    async def give(self, connection: AsyncConnection[Any]) -> None:
        """Take a connection back; one that is in a transaction or broken is not lent again as it is."""
        await self._pool.putconn(connection)

    async def ping(self) -> None:
        """Raise if no connection answers."""
        connection = await self.take()
        try:
            await connection.execute("SELECT 1")
            await connection.rollback()
        finally:
            await self.give(connection)

    def _idle(self) -> int:
        return self._pool.get_stats().get("pool_available", 0)

    def _used(self) -> int:
        stats = self._pool.get_stats()
        return stats.get("pool_size", 0) - stats.get("pool_available", 0)


async def _configure(connection: AsyncConnection[Any]) -> None:
    connection.adapters.register_loader("uuid", _UuidText)
    set_json_loads(orjson.loads, connection)
    connection.adapters.register_dumper(list, Lists)
