"""Personal data in events is sealed under the key of its record."""

from alembic import op

from chassis.database import subject_keys

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    subject_keys.create(op)


def downgrade() -> None:
    subject_keys.drop(op)
