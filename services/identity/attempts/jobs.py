"""Attempts are forgotten by the clock."""

from chassis.database import NO_TENANT, unit_of_work
from services.identity.attempts import rules, store


async def purge_attempts() -> None:
    """Delete the counts that no pace looks at any more."""
    async with unit_of_work(NO_TENANT) as work:
        await store.purge(work, work.now - rules.KEPT)
