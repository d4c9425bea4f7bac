"""Which of a service's processes does what only one may do: the one that holds an advisory lock of the database.

The lock belongs to a connection, so it ends with the process, and whoever loses the connection knows that it lost the lock.
"""

import asyncio
import zlib
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, Final

import nats.errors
import psycopg
import structlog
from psycopg import AsyncConnection
from psycopg.rows import DictRow, dict_row

from chassis.database.liveness import ALIVE

PAUSE: Final = 1.0  # seconds between two tries to become the one, and after the database or NATS went away
GUARD: Final = 5.0  # seconds between two looks whether the connection lives

_SPACE: Final = 0x6B697468  # "kith": the first of the lock's two numbers
_TRY: Final = "SELECT pg_try_advisory_lock(%s, %s) AS mine"

Connection = AsyncConnection[DictRow]
Work = Callable[[Connection], Awaitable[None]]

log = structlog.get_logger()


async def lead(dsn: str, duty: str, work: Work, stopping: asyncio.Event) -> None:
    """Do the work whenever this process is the one for the duty, until it returns because of `stopping`.

    PostgreSQL and NATS may go away meanwhile: the duty is then given up and taken again.
    """
    while not stopping.is_set():
        try:
            options: dict[str, Any] = {"prepare_threshold": 0, "row_factory": dict_row, **ALIVE}
            async with await AsyncConnection[DictRow].connect(dsn, autocommit=True, **options) as connection:
                while not stopping.is_set() and not await _is_mine(connection, duty):
                    await sleep_unless(stopping, PAUSE)
                if not stopping.is_set():
                    log.info("duty_taken", duty=duty)
                    await _guarded(connection, work)
        except (psycopg.Error, nats.errors.Error, OSError) as error:
            log.warning("duty_interrupted", duty=duty, error_type=type(error).__name__)
        except Exception:
            log.exception("duty_failed", duty=duty)  # a fault of ours; a process that gave the duty up silently would be worse
        await sleep_unless(stopping, PAUSE)


async def sleep_unless(event: asyncio.Event, seconds: float) -> None:
    """Return when the event is set, or after the time."""
    with suppress(TimeoutError):
        await asyncio.wait_for(event.wait(), seconds)


async def _is_mine(connection: Connection, duty: str) -> bool:
    number = zlib.crc32(duty.encode()) - 2**31
    row = await (await connection.execute(_TRY, [_SPACE, number])).fetchone()
    return bool(row and row["mine"])


async def _guarded(connection: Connection, work: Work) -> None:
    """Do the work until it returns or the connection, and with it the lock, is gone."""
    working: asyncio.Future[Any] = asyncio.ensure_future(work(connection))
    try:
        while not working.done():
            await asyncio.wait([working], timeout=GUARD)
            await connection.execute("SELECT 1")
    finally:
        if not working.done():
            working.cancel()
        await asyncio.gather(working, return_exceptions=True)
    working.result()
