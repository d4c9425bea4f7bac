"""How tables are declared: a tenant's rows carry their tenant, everybody's do not."""

from typing import Any

from sqlalchemy import Column, MetaData, Table, Uuid, text
from sqlalchemy.schema import PrimaryKeyConstraint, SchemaItem

from chassis.database.setting import TENANT


def tenant_table(name: str, metadata: MetaData, *items: SchemaItem) -> Table:
    """Declare a table of class tenant: tenant_id first, filled from the transaction's tenant, and part of the key.

    The primary key is (tenant_id, id) unless the items bring another one, which must start with tenant_id.
    """
    own_key = any(isinstance(item, PrimaryKeyConstraint) for item in items)
    key = () if own_key else (PrimaryKeyConstraint("tenant_id", "id"),)
    return Table(name, metadata, tenant_column(), *items, *key)


def global_table(name: str, metadata: MetaData, *items: SchemaItem) -> Table:
    """Declare a table of class global: no tenant; the owning service reaches it by key alone."""
    return Table(name, metadata, *items)


def tenant_column() -> Column[Any]:
    """Return the tenant_id column; the database fills it, so that no statement can name another tenant by mistake."""
    return Column("tenant_id", Uuid(as_uuid=False), nullable=False, server_default=text(f"(current_setting('{TENANT}')::uuid)"))
