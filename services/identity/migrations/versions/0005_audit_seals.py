"""The audit log by months, batches of its rows, and the chains that these are sealed into."""

import sqlalchemy as sa
from alembic import op

from chassis.database import audit_tables, tenancy
from chassis.database.columns import tenant_id

revision = "0005"
down_revision = "0004"

_USES = "'access', 'refresh'"


def upgrade() -> None:
    audit_tables.create(op)
    op.create_table(
        "audit_seals",
        tenant_id(),
        sa.Column("number", sa.BigInteger, nullable=False),
        sa.Column("service", sa.Text(collation="C"), nullable=False),
        sa.Column("batch_number", sa.BigInteger, nullable=False),
        sa.Column("row_count", sa.BigInteger, nullable=False),
        sa.Column("root", sa.LargeBinary, nullable=False),
        sa.Column("seal_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("previous", sa.LargeBinary, nullable=False),
        sa.Column("kid", sa.Text(collation="C"), nullable=False),
        sa.Column("signature", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "number"),
        sa.UniqueConstraint("tenant_id", "service", "batch_number", name="audit_seals_batch"),
    )
    tenancy.protect(op, "audit_seals", grants="SELECT")
    tenancy.open_to_system(op, "audit_seals", "SELECT, INSERT")
    _uses(f"{_USES}, 'seal'")


def downgrade() -> None:
    op.drop_table("audit_seals")
    op.execute("DELETE FROM keys WHERE use = 'seal'")
    _uses(_USES)
    audit_tables.drop(op)


def _uses(uses: str) -> None:
    op.execute("ALTER TABLE keys DROP CONSTRAINT keys_use")
    op.execute(f"ALTER TABLE keys ADD CONSTRAINT keys_use CHECK (use IN ({uses}))")
