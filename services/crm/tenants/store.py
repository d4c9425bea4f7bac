"""Tenants: class tenant, one row in each tenant's own view, a projection of kith.identity.v1.Tenant."""

from typing import Final

from sqlalchemy import Column, PrimaryKeyConstraint, Text, bindparam, select
from sqlalchemy.dialects.postgresql import insert

from chassis import etags
from chassis.database import Query, Row, UnitOfWork, tenant_table
from chassis.database.columns import version
from chassis.mapping import Mapping
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
_MAPPING: Final = Mapping(Tenant, tenants)
_GET: Final = Query(select(tenants.c.region))
_NEW: Final = insert(tenants).values({name: bindparam(name, type_=tenants.c[name].type) for name in _MAPPING.columns})
_PUT: Final = Query(
    _NEW.on_conflict_do_update(
        index_elements=["tenant_id"],
        set_={name: _NEW.excluded[name] for name in _MAPPING.columns},
        where=_NEW.excluded.version > tenants.c.version,
    )
)


async def region(work: UnitOfWork) -> str | None:
    """Return the region of the tenant, None while it is not known here."""
    row: Row | None = await work.first(_GET)
    return None if row is None else str(row["region"])


async def put(work: UnitOfWork, tenant: Tenant) -> None:
    """Keep what is known of the tenant, unless something newer is."""
    await work.run(_PUT, **_MAPPING.values(tenant), version=etags.version(tenant.etag))
