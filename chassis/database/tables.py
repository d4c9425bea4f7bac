"""How tables are declared: a tenant's rows carry their tenant, everybody's do not."""

from sqlalchemy import MetaData, Table
from sqlalchemy.schema import PrimaryKeyConstraint, SchemaItem

from chassis.database import columns


def tenant_table(name: str, metadata: MetaData, *items: SchemaItem) -> Table:
    """Declare a table of class tenant: tenant_id first, filled from the transaction's tenant, and part of the key.

    The primary key is (tenant_id, id) unless the items bring another one, which must start with tenant_id.
    """
    return Table(name, metadata, *of_tenant(items))


def global_table(name: str, metadata: MetaData, *items: SchemaItem) -> Table:
    """Declare a table of class global: no tenant; the owning service reaches it by key alone."""
    return Table(name, metadata, *items)


def of_tenant(items: tuple[SchemaItem, ...]) -> tuple[SchemaItem, ...]:
    """Return the items of a table of class tenant, from what is its own."""
    own_key = any(isinstance(item, PrimaryKeyConstraint) for item in items)
    key = () if own_key else (PrimaryKeyConstraint("tenant_id", "id"),)
    return (columns.tenant_id(), *items, *key)
