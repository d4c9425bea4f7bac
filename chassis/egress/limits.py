"""How long an exchange may take: as long as its use allows, and never longer than whoever asked for it waits."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Final

from chassis.context import current
from chassis.egress.causes import Cause, Stopped

MARGIN: Final = 0.05  # seconds of the caller's time that are kept for answering it


@contextlib.asynccontextmanager
async def in_time(seconds: float) -> AsyncIterator[None]:
    """Stop the block after so many seconds, or when the call in hand must be answered."""
    own = asyncio.get_running_loop().time() + seconds
    until = min(own, _caller_waits_until() - MARGIN)
    limit = asyncio.timeout_at(until)
    try:
        async with limit:
            yield
    except TimeoutError:
        if not limit.expired():
            raise
        raise Stopped(Cause.TIME if until == own else Cause.DEADLINE) from None


def _caller_waits_until() -> float:
    try:
        deadline = current().deadline
    except LookupError:
        deadline = None
    return float("inf") if deadline is None else deadline
