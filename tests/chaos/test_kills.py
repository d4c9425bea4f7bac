"""Nothing acknowledged is lost and nothing is doubled, whatever process is killed under load."""

import asyncio
import logging
import os
import random
import signal
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Final

import httpx
import pytest

from stack.topology import NATS
from tests.chaos.load import Writer
from tests.chaos.proof import nothing_is_lost_or_doubled
from tests.chaos.shaken import SETTLE_SECONDS, Shaken, kill_at_random
from tests.unit.chassis.moving import eventually

pytestmark = pytest.mark.chaos

WRITERS: Final = 6
KILLS: Final = int(os.environ.get("KITH_CHAOS_KILLS", "500"))
HUNG_SECONDS: Final = float(os.environ.get("KITH_CHAOS_HUNG", "60"))
SEED: Final = int(os.environ.get("KITH_CHAOS_SEED", random.SystemRandom().randrange(2**32)))

log = logging.getLogger(__name__)


@asynccontextmanager
async def load(edge: httpx.AsyncClient, dice: random.Random) -> AsyncIterator[list[Writer]]:
    """Write from several organisations at once inside the block."""
    log.warning("KITH_CHAOS_SEED=%d kills in the same order", SEED)  # shown when the test fails
    writers = [Writer(edge, random.Random(dice.random())) for _ in range(WRITERS)]
    stopping = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        for writer in writers:
            group.create_task(_write(writer, stopping))
        yield writers
        await eventually(lambda: all(writer.contacts for writer in writers), seconds=SETTLE_SECONDS)  # a proof about nothing is none
        stopping.set()
    put_off = sum((writer.put_off for writer in writers), Counter())
    log.warning("%d requests answered for good, put off: %s", sum(writer.answered for writer in writers), dict(put_off))


async def _write(writer: Writer, stopping: asyncio.Event) -> None:
    await writer.register()
    await writer.write_until(stopping)


async def test_kills_at_random_lose_and_double_nothing(shaken: Shaken, shaken_edge: httpx.AsyncClient) -> None:
    dice = random.Random(SEED)
    await shaken.settled()
    async with load(shaken_edge, dice) as writers:
        killed = await kill_at_random(shaken, dice, kills=KILLS)
    log.warning("killed %s", dict(killed))
    await nothing_is_lost_or_doubled(shaken, writers)


async def test_nats_hung_and_then_killed_loses_and_doubles_nothing(shaken: Shaken, shaken_edge: httpx.AsyncClient) -> None:
    await shaken.settled()
    async with load(shaken_edge, random.Random(SEED)) as writers:
        await _all_go_on(writers)
        assert shaken.signal(NATS, signal.SIGSTOP)
        await asyncio.sleep(HUNG_SECONDS)
        await _all_go_on(writers)  # writing does not wait for NATS
        restarts = shaken.state.processes[NATS].restarts
        assert shaken.signal(NATS, signal.SIGKILL)
    await shaken.restarted(NATS, restarts)
    await nothing_is_lost_or_doubled(shaken, writers)


async def _all_go_on(writers: Sequence[Writer]) -> None:
    """Return when each writer kept something and was answered once more than now."""
    before = [writer.answered for writer in writers]
    more = lambda: all(writer.contacts and writer.answered > then for writer, then in zip(writers, before, strict=True))  # noqa: E731 - it is only waited for
    await eventually(more, seconds=SETTLE_SECONDS)
