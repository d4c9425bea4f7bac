"""The loop that services run on, for tests to which the difference matters."""

import asyncio
from collections.abc import Awaitable, Callable

import uvloop


async def on_uvloop(test: Callable[[], Awaitable[None]], *, seconds: float = 180) -> None:
    """Run a test on uvloop, in a thread of its own."""

    async def in_time() -> None:
        async with asyncio.timeout(seconds):
            await test()

    await asyncio.to_thread(uvloop.run, in_time())
