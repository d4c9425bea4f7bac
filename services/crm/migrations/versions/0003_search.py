"""What records are found by. Records that are there already get it from `kith reindex`, since tokens are made in Python."""

import sqlalchemy as sa
from alembic import op

from chassis.database import tenancy

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.create_table(
        "search_tokens",
        sa.Column("tenant_id", sa.Uuid, nullable=False, server_default=sa.text("(current_setting('app.tenant_id')::uuid)")),
        sa.Column("kind", sa.Text(collation="C"), nullable=False),
        sa.Column("token", sa.Text(collation="C"), nullable=False),
        sa.Column("entity_id", sa.Uuid, nullable=False),
        sa.Column("field", sa.SmallInteger, nullable=False),
        sa.Column("version", sa.SmallInteger, nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "entity_id", "token"),
        sa.Index("search_tokens_token", "tenant_id", "kind", "token", "entity_id", postgresql_include=["field"]),
    )
    tenancy.protect(op, "search_tokens")


def downgrade() -> None:
    op.drop_table("search_tokens")
