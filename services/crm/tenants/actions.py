"""The region of a tenant: from the projection, and from identity itself while the event is still under way."""

from collections.abc import Awaitable, Callable

from google.protobuf.empty_pb2 import Empty

from chassis.database import UnitOfWork
from kith.identity.v1.tenants_pb2 import Tenant
from services.crm.tenants import store


class Regions:
    """Knows in which region a tenant's phone numbers are read; `ask` is TenantService.GetTenant, for the tenant of the call."""

    def __init__(self, ask: Callable[[Empty], Awaitable[Tenant]]) -> None:
        self._ask = ask

    async def of(self, work: UnitOfWork) -> str:
        """Return the region (ISO 3166-1) of the tenant that the unit of work is bound to."""
        known = await store.region(work)
        if known is not None:
            return known
        tenant = await self._ask(Empty())
        await store.PROJECTION.put(work, tenant)
        return tenant.region
