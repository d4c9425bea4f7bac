"""Tenants: class tenant, one row in each tenant's own view."""

from typing import Final

from sqlalchemy import Column, Text, bindparam, select

from chassis.database import Query, UnitOfWork, tenant_table
from chassis.database.columns import resource_columns
from chassis.errors import NotFound, Reason
from chassis.mapping import Mapping
from kith.identity.v1.tenants_pb2 import Tenant
from services.identity.store import METADATA, first_version, found

tenants: Final = tenant_table(
    "tenants",
    METADATA,
    *resource_columns(),
    Column("name", Text, nullable=False),
    Column("locale", Text, nullable=False),
    Column("time_zone", Text, nullable=False),
    Column("region", Text, nullable=False),
)
_MAPPING: Final = Mapping(Tenant, tenants)
_COLUMNS: Final = [tenants.c[name] for name in _MAPPING.columns]
_INSERT: Final = Query(tenants.insert().values({name: bindparam(name) for name in _MAPPING.columns}).returning(*_COLUMNS))
_GET: Final = Query(select(*_COLUMNS))


async def insert(work: UnitOfWork, tenant: Tenant) -> Tenant:
    """Keep a new tenant and return it as it is kept; its id is the one that the unit of work is bound to."""
    row = await work.first(_INSERT, **_MAPPING.values(tenant) | first_version(work.tenant_id, work.now))
    return _MAPPING.message(found(row))


async def get(work: UnitOfWork) -> Tenant:
    """Return the tenant that the unit of work is bound to."""
    row = await work.first(_GET)
    if row is None:
        raise NotFound(Reason.NOT_FOUND, "no such organisation")
    return _MAPPING.message(row)
