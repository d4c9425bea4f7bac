"""Runs, which are work that outlives a call, and change sets with the images of their records."""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

from chassis.database import tenancy

revision = "0002"
down_revision = "0001"

_TENANT = sa.text("(current_setting('app.tenant_id')::uuid)")
_TABLES = ("runs", "change_sets", "changes")


def upgrade() -> None:
    _runs()
    _change_sets()
    tenancy.protect(op, *_TABLES)
    _look_behind_row_level_security()


def downgrade() -> None:
    op.execute(f"SET LOCAL ROLE {tenancy.role(op, 'definer')}")
    op.execute("DROP FUNCTION tenants_with_due_runs(timestamptz)")
    op.execute(f"SET LOCAL ROLE {tenancy.role(op, 'owner')}")
    for table in reversed(_TABLES):
        op.drop_table(table)


def _runs() -> None:
    op.create_table(
        "runs",
        _tenant_id(),
        sa.Column("id", sa.Uuid, nullable=False),
        _word("kind"),
        sa.Column("subject_id", sa.Uuid, nullable=False),
        sa.Column("user_id", sa.Uuid),
        sa.Column("due_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("lease", sa.Uuid),
        sa.Column("attempts", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "id"),
        sa.Index("runs_due", "tenant_id", "due_time"),
    )


def _change_sets() -> None:
    op.create_table(
        "change_sets",
        _tenant_id(),
        sa.Column("id", sa.Uuid, nullable=False),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("create_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("update_time", sa.DateTime(timezone=True), nullable=False),
        _word("kind"),
        _word("origin"),
        _word("state"),
        sa.Column("creator_id", sa.Uuid),
        *(sa.Column(name, sa.BigInteger, nullable=False) for name in ("change_count", "reverted_count", "kept_count")),
        sa.Column("kept_edits", JSONB, nullable=False),
        sa.Column("reverted_up_to", sa.Uuid),
        sa.PrimaryKeyConstraint("tenant_id", "id"),
        sa.CheckConstraint("kind IN ('contact', 'company')", name="change_sets_kind"),
        sa.CheckConstraint("origin IN ('batch_update', 'batch_delete', 'import')", name="change_sets_origin"),
        sa.CheckConstraint("state IN ('open', 'applied', 'reverting', 'reverted')", name="change_sets_state"),
        sa.Index("change_sets_create_time", "tenant_id", "create_time", "id"),
    )
    op.create_table(
        "changes",
        _tenant_id(),
        sa.Column("change_set_id", sa.Uuid, nullable=False),
        sa.Column("record_id", sa.Uuid, nullable=False),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("before", sa.LargeBinary),
        sa.Column("after", sa.LargeBinary),
        sa.PrimaryKeyConstraint("tenant_id", "change_set_id", "record_id"),
    )


def _look_behind_row_level_security() -> None:
    """Tell the worker whose turn it is: ids of tenants, and nothing else, leave row-level security."""
    definer, runtime = tenancy.role(op, "definer"), tenancy.role(op, "runtime")
    op.execute(f"GRANT SELECT (tenant_id, due_time) ON runs TO {definer}")
    op.execute(f"SET LOCAL ROLE {definer}")
    op.execute(
        """
        CREATE FUNCTION tenants_with_due_runs(now timestamptz) RETURNS SETOF uuid
        LANGUAGE sql STABLE STRICT SECURITY DEFINER SET search_path = pg_catalog, pg_temp
        BEGIN ATOMIC
            SELECT DISTINCT r.tenant_id FROM public.runs r WHERE r.due_time <= tenants_with_due_runs.now;
        END
        """
    )
    op.execute(f"GRANT EXECUTE ON FUNCTION tenants_with_due_runs(timestamptz) TO {runtime}")
    op.execute(f"SET LOCAL ROLE {tenancy.role(op, 'owner')}")


def _tenant_id() -> sa.Column[Any]:
    return sa.Column("tenant_id", sa.Uuid, nullable=False, server_default=_TENANT)


def _word(name: str) -> sa.Column[Any]:
    return sa.Column(name, sa.Text(collation="C"), nullable=False)
