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
from sqlalchemy import Integer, bindparam, func, select

from chassis.database.pipeline import Pipeline
from chassis.database.pool import PING, pipeline
from chassis.database.statements import Query

PAUSE: Final = 1.0  # seconds between two tries to become the one, and after the database or NATS went away
GUARD: Final = 5.0  # seconds between two looks whether the connection lives

_SPACE: Final = 0x6B697468  # "kith": the first of the lock's two numbers
_NUMBERS: Final = (bindparam(name, type_=Integer()) for name in ("space", "duty"))
_TRY: Final = Query(select(func.pg_try_advisory_lock(*_NUMBERS).label("mine")))

Work = Callable[[Pipeline], Awaitable[None]]

log = structlog.get_logger()


async def lead(dsn: str, duty: str, work: Work, stopping: asyncio.Event) -> None:
    """Do the work whenever this process is the one for the duty, until it returns because of `stopping`.

    PostgreSQL and NATS may go away meanwhile: the duty is then given up and taken again.
    """
    while not stopping.is_set():
        try:
            async with pipeline(dsn) as connection:
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
        async with asyncio.timeout(seconds):
            await event.wait()


async def _is_mine(connection: Pipeline, duty: str) -> bool:
    number = zlib.crc32(duty.encode()) - 2**31
    (row,) = (await connection.ask(_TRY, {"space": _SPACE, "duty": number})).rows()
    return bool(row["mine"])


async def _guarded(connection: Pipeline, work: Work) -> None:
    """Do the work until it returns or the connection, and with it the lock, is gone."""
    working: asyncio.Future[Any] = asyncio.ensure_future(work(connection))
    try:
        while not working.done():
            await asyncio.wait([working], timeout=GUARD)
            await connection.ask(PING, {})
    finally:
        if not working.done():
            working.cancel()
        await asyncio.gather(working, return_exceptions=True)
    working.result()
