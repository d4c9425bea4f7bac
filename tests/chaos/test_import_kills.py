"""An import goes on by itself after whatever was killed under it: no row is lost or doubled, and all or nothing is all or nothing."""

import asyncio
import logging
import random
import signal
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, Final

import httpx
import psycopg
import pytest

from stack.topology import POSTGRES
from tests.chaos.importing import RUNNING, File
from tests.chaos.load import Writer
from tests.chaos.proof import nothing_is_lost_or_doubled
from tests.chaos.shaken import POLL, SETTLE_SECONDS, Shaken
from tests.chaos.test_kills import KILLS, SEED
from tests.unit.chassis.moving import eventually

pytestmark = pytest.mark.chaos

A_ROUND: Final = 12
"""Kills of other tests for which imports are killed in one round."""
STAGING: Final = 0.3  # seconds after the start in which rows are staged
STEP: Final = 0.6  # seconds in which an import takes a step

THERE: Final = "SELECT split_part(given_name, '-', 1), count(*) FROM contacts WHERE tenant_id = ANY(%s) GROUP BY 1"
LEFT: Final = """
SELECT (SELECT count(*) FROM import_rows WHERE tenant_id = ANY(%(t)s)) + (SELECT count(*) FROM import_chunks WHERE tenant_id = ANY(%(t)s))
  + (SELECT count(*) FROM runs WHERE tenant_id = ANY(%(t)s) AND kind = 'import')
"""

log = logging.getLogger(__name__)


async def test_imports_survive_kills(shaken: Shaken, shaken_edge: httpx.AsyncClient) -> None:
    dice = random.Random(SEED)
    log.warning("KITH_CHAOS_SEED=%d kills in the same order", SEED)  # shown when the test fails
    for _ in range(max(1, KILLS // A_ROUND)):
        await shaken.settled()
        files = [make(Writer(shaken_edge, dice)) for make in (File.row_tolerant, File.whole, File.spoilt)]
        for file in files:
            await file.upload()
        async with _never_in_part(shaken, files[1:]):
            for file in files:
                await file.start()
            await _kill_under(shaken, "crm", files, dice, within=STAGING)
            for name in (POSTGRES, "crm"):
                before = await _etags(files)
                await eventually(partial(_goes_on, files, before), seconds=SETTLE_SECONDS, pause=POLL)
                await _kill_under(shaken, name, files, dice, within=STEP)
            await eventually(partial(_ended, files), seconds=SETTLE_SECONDS, pause=POLL)
        for file in files:
            await file.came_out_right()
        assert await _left(shaken, files) == 0
        await nothing_is_lost_or_doubled(shaken, [file.writer for file in files])


async def _kill_under(platform: Shaken, name: str, files: Sequence[File], dice: random.Random, *, within: float) -> None:
    """Kill a process at some moment of a step; return when it answers again."""
    await asyncio.sleep(dice.uniform(0, within))
    log.warning("%s killed at row %s", name, [_row(await file.now()) for file in files])
    restarts = platform.state.processes[name].restarts
    assert platform.signal(name, signal.SIGKILL)
    await platform.restarted(name, restarts)


async def _etags(files: Sequence[File]) -> list[str]:
    return [(await file.now())["etag"] for file in files]


async def _goes_on(files: Sequence[File], before: Sequence[str]) -> bool:
    """Say whether an import took a step, or none has one left: the last kill may have come behind the end."""
    return await _etags(files) != before or await _ended(files)


async def _ended(files: Sequence[File]) -> bool:
    return not any([(await file.now())["state"] in RUNNING for file in files])


def _row(now: Mapping[str, Any]) -> str:
    """Say how far an import is."""
    return str(now.get("report", {}).get("doneCount", 0)) if now.get("rowCount") else "unstaged"


async def _left(platform: Shaken, files: Sequence[File]) -> int:
    """Return how much of the files is still in the database."""
    async with await psycopg.AsyncConnection.connect(platform.database("crm")) as connection:
        row = await (await connection.execute(LEFT, {"t": [file.writer.tenant_id for file in files]})).fetchone()
    assert row is not None
    return int(row[0])


@asynccontextmanager
async def _never_in_part(platform: Shaken, files: Sequence[File]) -> AsyncIterator[None]:
    """Look again and again inside the block: of each file, none or all must be there."""
    over = asyncio.Event()
    watching = asyncio.create_task(_watch(platform, files, over))
    try:
        yield
    finally:
        over.set()  # not cancelled: psycopg would leave a connection open that is just being made
        await asyncio.wait([watching])
    watching.result()


async def _watch(platform: Shaken, files: Sequence[File], over: asyncio.Event) -> None:
    allowed = {file.prefix: {0, file.names.total()} for file in files}
    while not over.is_set():
        try:
            async with await psycopg.AsyncConnection.connect(platform.database("crm")) as connection:
                rows = await (await connection.execute(THERE, [[file.writer.tenant_id for file in files]])).fetchall()
        except psycopg.OperationalError:
            rows = []  # PostgreSQL was killed
        there: Counter[str] = Counter(dict(rows))
        for prefix, counts in allowed.items():
            assert there[prefix] in counts, f"{there[prefix]} records of a file that is kept as a whole"
        await asyncio.sleep(POLL)
