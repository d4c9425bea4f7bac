"""How long work is asked for, and how whoever does it stays its only doer."""

import asyncio
from datetime import timedelta
from typing import Final

from chassis.database import UnitOfWork
from services.crm.runs import store
from services.crm.runs.store import Run

SOON: Final = 0.05  # seconds in which most units of work are committed; for the others the worker polls

_asked: Final[set[asyncio.Event]] = set()


class LeaseLostError(Exception):
    """Another process does the work now; what this transaction did of it is rolled back."""


def waker() -> asyncio.Event:
    """Return an event that is set when something was asked for: the worker waits for it instead of polling."""
    event = asyncio.Event()
    _asked.add(event)
    return event


async def ask(work: UnitOfWork, kind: str, subject_id: str, *, after: timedelta = timedelta()) -> None:
    """Ask for work on a subject once the unit of work is committed, or some time later."""
    await store.add(work, kind, subject_id, work.now + after)
    for event in _asked:
        asyncio.get_running_loop().call_later(SOON, event.set)


async def hold(work: UnitOfWork, run: Run) -> None:
    """Say that a step is done for good; raise LeaseLostError when the work is another process's by now."""
    if not await store.hold(work, run):
        raise LeaseLostError(run.id)


async def renew(work: UnitOfWork, run: Run) -> None:
    """Say that the work goes on, of which all would be done again; raise LeaseLostError when it is another process's by now."""
    if not await store.renew(work, run):
        raise LeaseLostError(run.id)


async def done(work: UnitOfWork, run: Run) -> None:
    """Say that the work is done; raise LeaseLostError when it is another process's by now."""
    if not await store.done(work, run):
        raise LeaseLostError(run.id)
