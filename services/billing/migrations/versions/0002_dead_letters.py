"""Events that could not be handled are kept."""

from alembic import op

from chassis.database import dead_letters

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    dead_letters.create(op)


def downgrade() -> None:
    dead_letters.drop(op)
