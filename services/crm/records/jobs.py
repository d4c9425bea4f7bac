"""The purge: records are removed for good when their time to be restored is over (CRM-9)."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Final

from chassis import clock, turns
from chassis.database import NO_TENANT, UnitOfWork, unit_of_work
from chassis.jobs import Job
from services.crm.records import rules, store

MOST: Final = 500
"""Records in one transaction."""

Step = Callable[[UnitOfWork, datetime, int], Awaitable[int]]
"""What removes at most so many things that were deleted before a time, and returns how many there were."""


class Purge:
    """Takes its steps in their order, tenant by tenant."""

    def __init__(self, steps: Sequence[Step]) -> None:
        self._steps = steps

    def jobs(self) -> list[Job]:
        """Return when records are purged: once a night."""
        return [Job(self.purge_records, "42 2 * * *")]

    async def purge_records(self) -> None:
        """Purge what was deleted too long ago to be restored."""
        turns.begin_long_work()
        before = clock.now() - rules.RESTORABLE
        async with unit_of_work(NO_TENANT) as work:
            tenants = await store.tenants_to_purge(work, before)
        for tenant_id in tenants:
            for step in self._steps:
                while await _take(step, tenant_id, before) == MOST:
                    continue


async def _take(step: Step, tenant_id: str, before: datetime) -> int:
    async with unit_of_work(tenant_id) as work:
        return await step(work, before, MOST)
