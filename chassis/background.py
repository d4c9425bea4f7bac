"""Work that runs beside the calls for as long as its block."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any, Final

LAST_WORDS: Final = 5.0  # seconds that cancelled work has to end before it is cancelled again


@asynccontextmanager
async def task(work: Coroutine[Any, Any, Any], *, name: str) -> AsyncIterator[asyncio.Task[Any]]:
    """Run a coroutine inside the block and cancel it at the end; if it fails, the block is left at once and raises what it failed with."""
    owner = asyncio.current_task()
    running = asyncio.create_task(work, name=name)

    def tell(ended: asyncio.Task[Any]) -> None:
        if owner is not None and not ended.cancelled() and ended.exception() is not None:
            owner.cancel()

    running.add_done_callback(tell)
    try:
        yield running
    finally:
        while not running.done():  # work whose last words fail, since what it stands on is gone, may forget that it was cancelled
            running.cancel()
            await asyncio.wait([running], timeout=LAST_WORDS)
        if not running.cancelled():
            running.result()
