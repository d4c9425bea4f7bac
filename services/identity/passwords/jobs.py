"""That links were mailed is forgotten."""

from chassis.database import NO_TENANT, unit_of_work
from services.identity.passwords import rules, store


async def purge_resets() -> None:
    """Delete what counts for no account any more; its tokens ended long ago."""
    async with unit_of_work(NO_TENANT) as work:
        await store.purge(work, work.now - rules.DAY)
