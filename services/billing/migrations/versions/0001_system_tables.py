"""What every service has for the chassis."""

from alembic import op

from chassis.database import system_tables

revision = "0001"
down_revision = None


def upgrade() -> None:
    system_tables.create(op)


def downgrade() -> None:
    system_tables.drop(op)
