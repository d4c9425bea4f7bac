"""Email addresses are verified by mailed links, and mails wait in a table until they are sent."""

import sqlalchemy as sa
from alembic import op

from chassis.database import tenancy
from chassis.mail import table as mails

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.add_column("users", sa.Column("email_verify_time", sa.DateTime(timezone=True)))
    op.create_table(
        "email_verifications",
        sa.Column("token_hash", sa.LargeBinary, nullable=False),
        sa.Column("user_id", sa.Uuid, nullable=False),
        sa.Column("email_key", sa.Text(collation="C"), nullable=False),
        sa.Column("expire_time", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("token_hash"),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="email_verifications_user_id"),
        sa.Index("email_verifications_user", "user_id"),
        sa.Index("email_verifications_expire_time", "expire_time"),
    )
    tenancy.grant(op, "email_verifications", grants="SELECT, INSERT, DELETE")
    mails.create(op)


def downgrade() -> None:
    mails.drop(op)
    op.drop_table("email_verifications")
    op.drop_column("users", "email_verify_time")
