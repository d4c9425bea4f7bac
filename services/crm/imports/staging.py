"""From the bytes of a file to rows in the database. A process that dies in between leaves rows that the next one finds again."""

import asyncio
import tempfile
from collections.abc import Iterator
from itertools import islice
from typing import BinaryIO

from chassis.database import unit_of_work
from kith.crm.v1.imports_pb2 import Import
from services.crm.imports import actions, rules, sheet, store
from services.crm.imports.failure import FileError
from services.crm.imports.sheet import Line
from services.crm.runs import actions as runs
from services.crm.runs.store import Run


async def stage(run: Run, current: Import) -> int:
    """Bring all rows into the database; return how many there are. Raises FileError when the file cannot be read to its end."""
    with tempfile.TemporaryFile() as file:
        await _spool(run, current, file)
        lines = sheet.lines(file, current.encoding, current.delimiter, has_header=current.has_header)
        count = 0
        while batch := await asyncio.to_thread(_take, lines):
            count = batch[-1].number
            async with unit_of_work() as work:
                await runs.renew(work, run)
                await actions.running(work, current.id)
                await store.add_rows(work, current.id, batch)
    if not count:
        raise FileError("the file has no row behind its header")
    async with unit_of_work() as work:
        await runs.hold(work, run)
        now = await actions.running(work, current.id)
        now.row_count = count
        await actions.step(work, now, now.state)
    return count


async def _spool(run: Run, current: Import, file: BinaryIO) -> None:
    """Put the file together on disk, where a reader can go through it line by line."""
    number = 0
    while True:
        async with unit_of_work() as work:
            await runs.renew(work, run)
            await actions.running(work, current.id)
            data = await store.chunk(work, current.id, number)
        if data is None:
            break
        await asyncio.to_thread(file.write, data)
        number += 1
    file.seek(0)


def _take(lines: Iterator[Line]) -> list[Line]:
    return list(islice(lines, rules.STAGED))
