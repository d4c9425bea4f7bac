"""Imports with the bytes and rows of their files, and the rows that failed."""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

from chassis.database import tenancy

revision = "0004"
down_revision = "0003"

_TENANT = sa.text("(current_setting('app.tenant_id')::uuid)")
_TABLES = ("imports", "import_chunks", "import_rows", "import_errors")


def upgrade() -> None:
    _imports()
    _part("import_chunks", sa.Column("data", sa.LargeBinary, nullable=False))
    _part("import_rows", sa.Column("line", sa.BigInteger, nullable=False), sa.Column("cells", sa.Text, nullable=False))
    _part(
        "import_errors",
        sa.Column("line", sa.BigInteger, nullable=False),
        sa.Column("cells", sa.Text, nullable=False),
        sa.Column("problem", sa.Text, nullable=False),
    )
    tenancy.protect(op, *_TABLES)


def downgrade() -> None:
    for table in reversed(_TABLES):
        op.drop_table(table)


def _imports() -> None:
    states = "'uploading', 'ready', 'validating', 'running', 'cancelling', 'succeeded', 'failed', 'cancelled'"
    op.create_table(
        "imports",
        _tenant_id(),
        sa.Column("id", sa.Uuid, nullable=False),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("create_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("update_time", sa.DateTime(timezone=True), nullable=False),
        _word("kind"),
        sa.Column("file_name", sa.Text, nullable=False),
        sa.Column("size", sa.BigInteger, nullable=False),
        _word("state"),
        sa.Column("problem", sa.Text, nullable=False),
        _word("encoding"),
        sa.Column("delimiter", sa.Text, nullable=False),
        sa.Column("has_header", sa.Boolean, nullable=False),
        sa.Column("columns", JSONB, nullable=False),
        _word("mode"),
        _word("duplicates"),
        sa.Column("row_count", sa.BigInteger, nullable=False),
        sa.Column("preview", JSONB),
        sa.Column("report", JSONB),
        sa.Column("change_set_id", sa.Uuid),
        sa.Column("creator_id", sa.Uuid),
        sa.PrimaryKeyConstraint("tenant_id", "id"),
        sa.CheckConstraint("kind IN ('contact', 'company')", name="imports_kind"),
        sa.CheckConstraint(f"state IN ({states})", name="imports_state"),
        sa.CheckConstraint("mode IN ('unspecified', 'rows', 'all')", name="imports_mode"),
        sa.CheckConstraint("duplicates IN ('unspecified', 'skip', 'update', 'create')", name="imports_duplicates"),
        sa.Index("imports_create_time", "tenant_id", "create_time", "id"),
    )


def _part(name: str, *columns: sa.Column[Any]) -> None:
    op.create_table(
        name,
        _tenant_id(),
        sa.Column("import_id", sa.Uuid, nullable=False),
        sa.Column("number", sa.BigInteger, nullable=False),
        *columns,
        sa.PrimaryKeyConstraint("tenant_id", "import_id", "number"),
        sa.ForeignKeyConstraint(["tenant_id", "import_id"], ["imports.tenant_id", "imports.id"], name=f"{name}_import", ondelete="CASCADE"),
    )


def _tenant_id() -> sa.Column[Any]:
    return sa.Column("tenant_id", sa.Uuid, nullable=False, server_default=_TENANT)


def _word(name: str) -> sa.Column[Any]:
    return sa.Column(name, sa.Text(collation="C"), nullable=False)
