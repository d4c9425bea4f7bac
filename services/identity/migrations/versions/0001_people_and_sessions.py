"""Tenants, memberships, users, passwords, sessions, attempts and keys."""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

from chassis.database import system_tables, tenancy

revision = "0001"
down_revision = None

_TENANT = sa.text("(current_setting('app.tenant_id')::uuid)")


def upgrade() -> None:
    system_tables.create(op)
    _people_and_organisations()
    _what_signing_in_needs()
    _look_behind_row_level_security()
    tenancy.protect(op, "tenants", "memberships")
    tenancy.grant(op, "users", "passwords", "sessions", "attempts", "keys")


def downgrade() -> None:
    op.execute(f"SET LOCAL ROLE {tenancy.role(op, 'definer')}")
    op.execute("DROP FUNCTION tenants_of_user(uuid)")
    op.execute(f"SET LOCAL ROLE {tenancy.role(op, 'owner')}")
    for table in ("keys", "attempts", "sessions", "passwords", "memberships", "tenants", "users"):
        op.drop_table(table)
    system_tables.drop(op)


def _people_and_organisations() -> None:
    op.create_table(
        "users",
        *_resource(),
        sa.Column("email", sa.Text, nullable=False),
        sa.Column("email_key", sa.Text(collation="C"), nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("locale", sa.Text, nullable=False),
        sa.Column("time_zone", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("email_key", name="users_email_key"),
    )
    op.create_table(
        "tenants",
        sa.Column("tenant_id", sa.Uuid, nullable=False, server_default=_TENANT),
        *_resource(),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("locale", sa.Text, nullable=False),
        sa.Column("time_zone", sa.Text, nullable=False),
        sa.Column("region", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "id"),
        sa.CheckConstraint("id = tenant_id", name="tenants_themselves"),
    )
    op.create_table(
        "memberships",
        sa.Column("tenant_id", sa.Uuid, nullable=False, server_default=_TENANT),
        *_resource(),
        sa.Column("role", sa.Text(collation="C"), nullable=False),
        sa.Column("name_key", sa.Text(collation="C"), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "id"),
        sa.ForeignKeyConstraint(["id"], ["users.id"], name="memberships_user_id"),
        sa.CheckConstraint("role IN ('owner', 'admin', 'manager', 'member', 'read_only', 'billing')", name="memberships_role"),
        sa.Index("memberships_name", "tenant_id", "name_key", "id"),
        sa.Index("memberships_user", "id"),
    )


def _what_signing_in_needs() -> None:
    op.create_table(
        "passwords",
        sa.Column("user_id", sa.Uuid, nullable=False),
        sa.Column("hash", sa.Text, nullable=False),
        _moment("update_time"),
        sa.PrimaryKeyConstraint("user_id"),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="passwords_user_id"),
    )
    op.create_table(
        "sessions",
        sa.Column("id", sa.Uuid, nullable=False),
        sa.Column("family", sa.Uuid, nullable=False),
        sa.Column("user_id", sa.Uuid, nullable=False),
        sa.Column("home", sa.Uuid, nullable=False),
        sa.Column("key_id", sa.Text(collation="C"), nullable=False),
        sa.Column("generation", sa.BigInteger, nullable=False),
        sa.Column("secret_hash", sa.LargeBinary, nullable=False),
        sa.Column("replays", sa.BigInteger, nullable=False),
        _moment("create_time"),
        _moment("rotate_time"),
        _moment("idle_expire_time"),
        _moment("expire_time"),
        sa.Column("end_time", sa.DateTime(timezone=True)),
        sa.Column("network", sa.Text(collation="C"), nullable=False),
        sa.Column("client_ip", sa.Text, nullable=False),
        sa.Column("user_agent", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("family", name="sessions_family"),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="sessions_user_id"),
        sa.Index("sessions_user", "user_id", "network"),
        sa.Index("sessions_expire_time", "expire_time"),
    )
    op.create_table(
        "attempts",
        sa.Column("key", sa.Text(collation="C"), nullable=False),
        sa.Column("failures", sa.BigInteger, nullable=False),
        _moment("last_time"),
        sa.PrimaryKeyConstraint("key"),
        sa.Index("attempts_last_time", "last_time"),
    )
    op.create_table(
        "keys",
        sa.Column("kid", sa.Text(collation="C"), nullable=False),
        sa.Column("use", sa.Text(collation="C"), nullable=False),
        sa.Column("state", sa.Text(collation="C"), nullable=False),
        _moment("create_time"),
        _moment("state_time"),
        sa.Column("public", JSONB),
        sa.Column("sealed", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("kid"),
        sa.CheckConstraint("use IN ('access', 'refresh')", name="keys_use"),
        sa.CheckConstraint("state IN ('next', 'active', 'retiring')", name="keys_state"),
        sa.Index("keys_one_next", "use", unique=True, postgresql_where=sa.text("state = 'next'")),
        sa.Index("keys_one_active", "use", unique=True, postgresql_where=sa.text("state = 'active'")),
    )


def _look_behind_row_level_security() -> None:
    """Who signs in says no tenant: one function, owned by a role that nobody signs in as, returns the ids of a user's tenants."""
    definer, runtime = tenancy.role(op, "definer"), tenancy.role(op, "runtime")
    op.execute(f"GRANT SELECT (tenant_id, id, create_time) ON memberships TO {definer}")
    op.execute(f"SET LOCAL ROLE {definer}")
    op.execute(
        """
        CREATE FUNCTION tenants_of_user(user_id uuid) RETURNS SETOF uuid
        LANGUAGE sql STABLE STRICT SECURITY DEFINER ROWS 2 SET search_path = pg_catalog, pg_temp
        BEGIN ATOMIC
            SELECT m.tenant_id FROM public.memberships m WHERE m.id = tenants_of_user.user_id ORDER BY m.create_time, m.tenant_id;
        END
        """
    )
    op.execute(f"GRANT EXECUTE ON FUNCTION tenants_of_user(uuid) TO {runtime}")
    op.execute(f"SET LOCAL ROLE {tenancy.role(op, 'owner')}")


def _resource() -> tuple[sa.Column[Any], ...]:
    return (
        sa.Column("id", sa.Uuid, nullable=False),
        sa.Column("version", sa.BigInteger, nullable=False),
        _moment("create_time"),
        _moment("update_time"),
    )


def _moment(name: str) -> sa.Column[Any]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=False)
