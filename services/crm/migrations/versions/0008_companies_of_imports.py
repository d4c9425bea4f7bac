"""Companies that imports of contacts name: how a run takes them, and change sets that hold them beside the contacts."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    # With defaults, since the previous release writes neither column.
    op.add_column("imports", sa.Column("companies", sa.Text(collation="C"), nullable=False, server_default="unspecified"))
    op.create_check_constraint("imports_companies", "imports", "companies IN ('unspecified', 'match', 'create')")
    op.add_column("change_sets", sa.Column("further_kinds", JSONB, nullable=False, server_default="[]"))
    op.add_column("changes", sa.Column("noun", sa.Text(collation="C"), nullable=False, server_default=""))
    op.create_check_constraint("changes_noun", "changes", "noun IN ('', 'contact', 'company')")


def downgrade() -> None:
    op.drop_column("changes", "noun")
    op.drop_column("change_sets", "further_kinds")
    op.drop_column("imports", "companies")
