"""TenantService: what other services ask about an organisation."""

from google.protobuf.empty_pb2 import Empty

from chassis.database import unit_of_work
from chassis.interceptors.chain import Context
from kith.identity.v1.tenants_pb2 import Tenant
from kith.identity.v1.tenants_pb2_grpc import TenantServiceServicer
from services.identity.tenants import store


class TenantService(TenantServiceServicer):
    """Answers for the tenant that the caller's service token names."""

    async def GetTenant(self, request: Empty, context: Context) -> Tenant:
        """Return the tenant."""
        async with unit_of_work() as work:
            return await store.get(work)
