"""A clock that a test moves, and waiting for what another task does."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

START = datetime(2026, 11, 21, 12, tzinfo=UTC)


class Clock:
    def __init__(self) -> None:
        self.time = START

    def __call__(self) -> datetime:
        return self.time

    def forward(self, seconds: float) -> None:
        self.time += timedelta(seconds=seconds)


async def eventually(holds: Callable[[], bool | Awaitable[bool]], *, seconds: float = 60, pause: float = 0.005) -> None:
    """Return as soon as the condition holds; fail loudly if it does not in time."""
    async with asyncio.timeout(seconds):
        while True:
            held = holds()
            if held if isinstance(held, bool) else await held:
                return
            await asyncio.sleep(pause)
