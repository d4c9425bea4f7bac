"""Events that could not be handled are kept."""

from alembic import op

from chassis.database import dead_letters

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    dead_letters.create(op)


def downgrade() -> None:
    dead_letters.drop(op)
