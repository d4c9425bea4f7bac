"""Tokens that nobody came back with are forgotten."""

from chassis.database import NO_TENANT, unit_of_work
from services.identity.verifications import store


async def purge_verifications() -> None:
    """Delete the tokens that have ended."""
    async with unit_of_work(NO_TENANT) as work:
        await store.purge(work)
