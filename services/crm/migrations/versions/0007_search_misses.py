"""What people searched for and did not find."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from chassis.database import tenancy

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    op.create_table(
        "search_misses",
        sa.Column("tenant_id", sa.Uuid, nullable=False, server_default=sa.text("(current_setting('app.tenant_id')::uuid)")),
        sa.Column("id", sa.Uuid, nullable=False),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("create_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("update_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("key", sa.Text(collation="C"), nullable=False),
        sa.Column("query", sa.Text, nullable=False),
        sa.Column("words", JSONB, nullable=False),
        sa.Column("kinds", JSONB, nullable=False),
        sa.Column("miss_count", sa.BigInteger, nullable=False),
        sa.Column("people_count", sa.BigInteger, nullable=False),
        sa.Column("people", ARRAY(sa.BigInteger), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "id"),
        sa.UniqueConstraint("tenant_id", "key", name="search_misses_key"),
        *(sa.Index(f"search_misses_{name}", "tenant_id", name, "id") for name in ("create_time", "update_time", "miss_count")),
    )
    tenancy.protect(op, "search_misses")
    _look_behind_row_level_security()


def downgrade() -> None:
    op.execute(f"SET LOCAL ROLE {tenancy.role(op, 'definer')}")
    op.execute("DROP FUNCTION tenants_with_old_search_misses(timestamptz)")
    op.execute(f"SET LOCAL ROLE {tenancy.role(op, 'owner')}")
    op.drop_table("search_misses")


def _look_behind_row_level_security() -> None:
    """Tell the purge whose turn it is: ids of tenants, and nothing else, leave row-level security."""
    definer, runtime = tenancy.role(op, "definer"), tenancy.role(op, "runtime")
    op.execute(f"GRANT SELECT (tenant_id, update_time) ON search_misses TO {definer}")
    op.execute(f"SET LOCAL ROLE {definer}")
    op.execute(
        """
        CREATE FUNCTION tenants_with_old_search_misses(before timestamptz) RETURNS SETOF uuid
        LANGUAGE sql STABLE STRICT SECURITY DEFINER SET search_path = pg_catalog, pg_temp
        BEGIN ATOMIC
            SELECT DISTINCT m.tenant_id FROM public.search_misses m WHERE m.update_time < tenants_with_old_search_misses.before;
        END
        """
    )
    op.execute(f"GRANT EXECUTE ON FUNCTION tenants_with_old_search_misses(timestamptz) TO {runtime}")
    op.execute(f"SET LOCAL ROLE {tenancy.role(op, 'owner')}")
