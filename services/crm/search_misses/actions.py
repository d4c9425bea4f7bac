"""How searches that found nothing come into the report: heard beside the search, counted here, written every few seconds.

What a process heard and did not write is lost when it is killed, and what cannot be written is given up: a search waits for nothing
here, and never fails because of it.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import structlog

from chassis import clock
from chassis.context import enter_as
from chassis.database import Database, failures, unit_of_work
from services.crm.search.actions import Searched
from services.crm.search_misses import rules, store
from services.crm.search_misses.store import Miss

EVERY: Final = 2.0
"""Seconds between two looks at what can be written."""

HEARD: Final = 10_000
"""Searches of different people that are held while they may go on typing."""

COUNTED: Final = 500
"""Different entries of one organisation between two writes; what goes beyond is not counted."""

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Typed:
    """A search that found nothing; whoever made it may still be typing."""

    search: Searched
    time: datetime


class Misses:
    """What was searched for and not found since it was last written."""

    def __init__(self) -> None:
        self._typed: dict[tuple[str, str], Typed] = {}
        self._counted: dict[str, dict[str, Miss]] = {}

    def hear(self, search: Searched) -> None:
        """Take note of a search, whatever it found: it may continue one that found nothing."""
        now = clock.now()
        earlier = self._typed.pop((search.tenant_id, search.person), None)
        if earlier and not _continues(earlier, search, now):
            self._count(earlier)
        if not search.is_found and len(self._typed) < HEARD:
            self._typed[search.tenant_id, search.person] = Typed(search, now)

    def settle(self, until: datetime) -> None:
        """Count the searches that were made until a time: nobody went on typing. The oldest stand first."""
        for who, typed in list(self._typed.items()):
            if typed.time > until:
                return
            del self._typed[who]
            self._count(typed)

    def take(self) -> dict[str, list[Miss]]:
        """Return what was counted, by tenant, and begin anew."""
        taken, self._counted = self._counted, {}
        return {tenant_id: list(misses.values()) for tenant_id, misses in taken.items()}

    def _count(self, typed: Typed) -> None:
        search = typed.search
        words = rules.words(search.query)
        if not words:
            return
        key = rules.key(words, search.kinds)
        misses = self._counted.setdefault(search.tenant_id, {})
        person = rules.person(search.person, key)
        if miss := misses.get(key):
            miss.query, miss.last, miss.count = search.query, typed.time, miss.count + 1
            miss.people.add(person)
        elif len(misses) < COUNTED:
            found = Miss(key=key, query=search.query, words=words, kinds=sorted(search.kinds), first=typed.time, last=typed.time)
            misses[key] = found
            found.people.add(person)


def _continues(earlier: Typed, search: Searched, now: datetime) -> bool:
    return now - earlier.time < rules.TYPING and rules.continues(earlier.search.query, search.query)


@asynccontextmanager
async def kept(database: Database) -> AsyncIterator[Misses]:
    """Write what is heard inside the block, and at its end what is left."""
    misses, ended = Misses(), asyncio.Event()
    writing = asyncio.create_task(_keep(misses, database, ended), name="search_misses")
    try:
        yield misses
    finally:
        ended.set()
        await writing


async def _keep(misses: Misses, database: Database, ended: asyncio.Event) -> None:
    is_last = False
    while not is_last:
        with suppress(TimeoutError):
            await asyncio.wait_for(ended.wait(), EVERY)
        is_last, now = ended.is_set(), clock.now()
        misses.settle(now if is_last else now - rules.TYPING)
        await _write(database, misses.take())


async def _write(database: Database, taken: dict[str, list[Miss]]) -> None:
    """Write what was counted. While the database is away all of it is given up at once: a drain does not wait for each organisation."""
    while taken:
        tenant_id, found = taken.popitem()
        enter_as("crm", database, origin="search_misses", tenant_id=tenant_id)
        try:
            async with unit_of_work() as work:
                await store.add(work, found)
        except Exception as error:
            if failures.refusal(error):
                log.warning("search_misses_lost", count=len(found) + sum(map(len, taken.values())), error_type=type(error).__name__)
                return
            log.exception("search_misses_failed", count=len(found))
