"""Sessions are deleted some time after their end."""

from datetime import timedelta
from typing import Final

from chassis.database import NO_TENANT, unit_of_work
from services.identity.sessions import store

KEPT: Final = timedelta(days=90)  # ID-54


async def purge_sessions() -> None:
    """Delete the sessions that could not be renewed any more for a while."""
    async with unit_of_work(NO_TENANT) as work:
        await store.purge(work, work.now - KEPT)
