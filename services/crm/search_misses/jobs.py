"""Search misses are forgotten when nobody searched for them for a while: they are what people typed, often names."""

from datetime import timedelta

from chassis import clock
from chassis.database import NO_TENANT, unit_of_work
from chassis.jobs import Job
from services.crm.search_misses import store


class Forgetting:
    """Forgets what was last searched for so many days ago."""

    def __init__(self, days: int) -> None:
        self._kept = timedelta(days=days)

    def jobs(self) -> list[Job]:
        """Return when the report is cleared up: once a night."""
        return [Job(self.forget_search_misses, "12 3 * * *")]

    async def forget_search_misses(self) -> None:
        """Forget what is old, tenant by tenant."""
        before = clock.now() - self._kept
        async with unit_of_work(NO_TENANT) as work:
            tenants = await store.tenants_to_forget(work, before)
        for tenant_id in tenants:
            async with unit_of_work(tenant_id) as work:
                await store.forget(work, before)
