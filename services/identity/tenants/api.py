"""TenantService: what other services ask about an organisation."""

from google.protobuf.empty_pb2 import Empty
from grpc.aio import ServicerContext

from chassis.database import unit_of_work
from kith.identity.v1.tenants_pb2 import Tenant
from kith.identity.v1.tenants_pb2_grpc import TenantServiceServicer
from services.identity.tenants import store


class TenantService(TenantServiceServicer):
    """Answers for the tenant that the caller's service token names."""

    async def GetTenant(self, request: Empty, context: ServicerContext[Empty, Tenant]) -> Tenant:
        """Return the tenant."""
        async with unit_of_work() as work:
            return await store.get(work)
