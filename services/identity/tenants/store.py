"""Tenants: class tenant, one row in each tenant's own view."""

from typing import Final

from sqlalchemy import Column, Text, select

from chassis.database import Query, UnitOfWork, tenant_table
from chassis.database.columns import resource_columns
from chassis.errors import NotFound, Reason
from chassis.mapping import Mapping
from chassis.records import Store
from kith.identity.v1.tenants_pb2 import Tenant
from services.identity.store import METADATA

tenants: Final = tenant_table(
    "tenants",
    METADATA,
    *resource_columns(),
    Column("name", Text, nullable=False),
    Column("locale", Text, nullable=False),
    Column("time_zone", Text, nullable=False),
    Column("region", Text, nullable=False),
)
STORE: Final = Store(Mapping(Tenant, tenants), tenants)
_EVERY: Final = Query(select(tenants.c.id).order_by(tenants.c.id))


async def every(work: UnitOfWork) -> list[str]:
    """Return the ids of all tenants that the role of the connection sees: of the migrator's, each."""
    return [row["id"] for row in await work.all(_EVERY)]


async def get(work: UnitOfWork) -> Tenant:
    """Return the tenant that the unit of work is bound to."""
    tenant = await STORE.get(work, work.tenant_id)
    if tenant is None:
        raise NotFound(Reason.NOT_FOUND, "no such organisation")
    return tenant
