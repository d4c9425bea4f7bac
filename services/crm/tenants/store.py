"""Tenants: class tenant, one row in each tenant's own view, a projection of kith.identity.v1.Tenant."""

from typing import Final

from sqlalchemy import Column, PrimaryKeyConstraint, Text, select

from chassis.database import Query, Row, UnitOfWork, tenant_table
from chassis.database.columns import version
from chassis.mapping import Mapping
from chassis.records import Projection
from kith.identity.v1.tenants_pb2 import Tenant
from services.crm.store import METADATA

tenants: Final = tenant_table(
    "tenants",
    METADATA,
    version(),
    Column("region", Text, nullable=False),
    Column("time_zone", Text, nullable=False),
    Column("locale", Text, nullable=False),
    PrimaryKeyConstraint("tenant_id"),
)
PROJECTION: Final = Projection(Mapping(Tenant, tenants), tenants)
_GET: Final = Query(select(tenants.c.region))


async def region(work: UnitOfWork) -> str | None:
    """Return the region of the tenant, None while it is not known here."""
    row: Row | None = await work.first(_GET)
    return None if row is None else str(row["region"])
