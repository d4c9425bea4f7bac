"""Work that runs beside the calls for as long as its block."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any


@asynccontextmanager
async def task(work: Coroutine[Any, Any, Any], *, name: str) -> AsyncIterator[asyncio.Task[Any]]:
    """Run a coroutine inside the block and cancel it at the end; if it fails, its failure ends the block's owner loudly."""
    running = asyncio.create_task(work, name=name)
    try:
        yield running
    finally:
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running
