"""Which trails there are, for operators: the migrator alone sees all organisations."""

from chassis.context import enter_as
from chassis.database import NO_TENANT, Database, unit_of_work
from services.identity.audit import store as seals
from services.identity.tenants import store


async def tenants(migrator_dsn: str) -> list[str]:
    """Return the ids of all organisations, and of whatever else has a chain: one that was deleted, and nobody."""
    async with Database(migrator_dsn, size=1) as database:
        enter_as("identity", database, origin="audit trails")
        async with unit_of_work(NO_TENANT) as work:
            return sorted({*await store.every(work), *await seals.tenants(work)})
