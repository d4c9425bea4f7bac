"""Companies, contacts with the keys that they are found by, and what is known here of tenants and members."""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

from chassis.database import system_tables, tenancy

revision = "0001"
down_revision = None

_TENANT = sa.text("(current_setting('app.tenant_id')::uuid)")
_TABLES = ("tenants", "members", "companies", "contacts", "contact_keys")


def upgrade() -> None:
    system_tables.create(op)
    _projections()
    _companies()
    _contacts()
    tenancy.protect(op, *_TABLES)
    _look_behind_row_level_security()


def downgrade() -> None:
    op.execute(f"SET LOCAL ROLE {tenancy.role(op, 'definer')}")
    op.execute("DROP FUNCTION tenants_with_purgeable_records(timestamptz)")
    op.execute(f"SET LOCAL ROLE {tenancy.role(op, 'owner')}")
    for table in reversed(_TABLES):
        op.drop_table(table)
    system_tables.drop(op)


def _projections() -> None:
    op.create_table(
        "tenants",
        _tenant_id(),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("region", sa.Text, nullable=False),
        sa.Column("time_zone", sa.Text, nullable=False),
        sa.Column("locale", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("tenant_id"),
    )
    op.create_table(
        "members",
        _tenant_id(),
        sa.Column("id", sa.Uuid, nullable=False),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "id"),
    )


def _companies() -> None:
    op.create_table(
        "companies",
        _tenant_id(),
        *_record(),
        sa.Column("name", sa.Text, nullable=False),
        _word("sort_name"),
        _word("domain"),
        _word("industry"),
        sa.Column("employee_count", sa.BigInteger, nullable=False),
        sa.Column("phones", JSONB, nullable=False),
        sa.Column("address", JSONB),
        sa.Column("owner_id", sa.Uuid),
        _word("source"),
        sa.Column("tags", JSONB, nullable=False),
        sa.Column("description", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "id"),
        *_indices("companies", words=("domain", "industry", "source"), others=("employee_count", "owner_id")),
    )


def _contacts() -> None:
    op.create_table(
        "contacts",
        _tenant_id(),
        *_record(),
        sa.Column("given_name", sa.Text, nullable=False),
        sa.Column("family_name", sa.Text, nullable=False),
        sa.Column("display_name", sa.Text, nullable=False),
        _word("sort_name"),
        sa.Column("emails", JSONB, nullable=False),
        sa.Column("phones", JSONB, nullable=False),
        _word("title"),
        _word("department"),
        sa.Column("company_id", sa.Uuid),
        sa.Column("owner_id", sa.Uuid),
        _word("source"),
        _word("status"),
        sa.Column("address", JSONB),
        sa.Column("social_profiles", JSONB, nullable=False),
        sa.Column("tags", JSONB, nullable=False),
        sa.Column("last_contacted_time", sa.DateTime(timezone=True)),
        sa.PrimaryKeyConstraint("tenant_id", "id"),
        sa.ForeignKeyConstraint(["tenant_id", "company_id"], ["companies.tenant_id", "companies.id"], name="contacts_company"),
        sa.CheckConstraint("status IN ('active', 'inactive', 'archived')", name="contacts_status"),
        *_indices("contacts", words=("title", "department", "source"), others=("company_id", "owner_id", "status", "last_contacted_time")),
    )
    op.create_table(
        "contact_keys",
        _tenant_id(),
        sa.Column("contact_id", sa.Uuid, nullable=False),
        _word("kind"),
        _word("key"),
        sa.PrimaryKeyConstraint("tenant_id", "kind", "key", "contact_id"),
        sa.ForeignKeyConstraint(
            ["tenant_id", "contact_id"], ["contacts.tenant_id", "contacts.id"], name="contact_keys_contact", ondelete="CASCADE"
        ),
        sa.Index("contact_keys_contact", "tenant_id", "contact_id"),
    )


def _look_behind_row_level_security() -> None:
    """Tell the purge whose turn it is: ids of tenants, and nothing else, leave row-level security."""
    definer, runtime = tenancy.role(op, "definer"), tenancy.role(op, "runtime")
    for table in ("companies", "contacts"):
        op.execute(f"GRANT SELECT (tenant_id, delete_time) ON {table} TO {definer}")
    op.execute(f"SET LOCAL ROLE {definer}")
    op.execute(
        """
        CREATE FUNCTION tenants_with_purgeable_records(before timestamptz) RETURNS SETOF uuid
        LANGUAGE sql STABLE STRICT SECURITY DEFINER SET search_path = pg_catalog, pg_temp
        BEGIN ATOMIC
            SELECT c.tenant_id FROM public.contacts c WHERE c.delete_time < tenants_with_purgeable_records.before
            UNION
            SELECT c.tenant_id FROM public.companies c WHERE c.delete_time < tenants_with_purgeable_records.before;
        END
        """
    )
    op.execute(f"GRANT EXECUTE ON FUNCTION tenants_with_purgeable_records(timestamptz) TO {runtime}")
    op.execute(f"SET LOCAL ROLE {tenancy.role(op, 'owner')}")


def _tenant_id() -> sa.Column[Any]:
    return sa.Column("tenant_id", sa.Uuid, nullable=False, server_default=_TENANT)


def _record() -> tuple[sa.Column[Any], ...]:
    return (
        sa.Column("id", sa.Uuid, nullable=False),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("create_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("update_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("delete_time", sa.DateTime(timezone=True)),
    )


def _word(name: str) -> sa.Column[Any]:
    return sa.Column(name, sa.Text(collation="C"), nullable=False)


def _indices(table: str, words: tuple[str, ...], others: tuple[str, ...]) -> tuple[sa.Index, ...]:
    orders = ("sort_name", "create_time", "update_time")
    live, deleted = sa.text("delete_time IS NULL"), sa.text("delete_time IS NOT NULL")
    return (
        *(sa.Index(f"{table}_{name}_live", "tenant_id", name, "id", postgresql_where=live) for name in orders),
        *(sa.Index(f"{table}_{name}", "tenant_id", name, "id") for name in orders),
        *(sa.Index(f"{table}_{name}", "tenant_id", name, postgresql_where=sa.text(f"{name} > ''")) for name in words),
        *(sa.Index(f"{table}_{name}", "tenant_id", name) for name in others),
        sa.Index(f"{table}_deleted", "tenant_id", "delete_time", postgresql_where=deleted),
    )
