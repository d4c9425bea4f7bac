"""The audit log by months, and batches of its rows that are sealed."""

from alembic import op

from chassis.database import audit_tables

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    audit_tables.create(op)


def downgrade() -> None:
    audit_tables.drop(op)
