"""Passwords are reset by mailed links."""

import sqlalchemy as sa
from alembic import op

from chassis.database import tenancy

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    op.create_table(
        "password_resets",
        sa.Column("token_hash", sa.LargeBinary, nullable=False),
        sa.Column("user_id", sa.Uuid, nullable=False),
        sa.Column("email_key", sa.Text(collation="C"), nullable=False),
        sa.Column("create_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expire_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("good", sa.Boolean, nullable=False),
        sa.PrimaryKeyConstraint("token_hash"),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="password_resets_user_id"),
        sa.Index("password_resets_user", "user_id"),
        sa.Index("password_resets_create_time", "create_time"),
    )
    tenancy.grant(op, "password_resets")


def downgrade() -> None:
    op.drop_table("password_resets")
