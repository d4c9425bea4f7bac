"""Let the primary key of tokens answer for the field too: a search that asks a record for a word reads one page then, not two."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"

TABLE = "search_tokens"
KEY = "search_tokens_pkey"
COLUMNS = ["tenant_id", "entity_id", "token"]


def upgrade() -> None:
    _replace_key(include=["field"])


def downgrade() -> None:
    _replace_key(include=[])


def _replace_key(include: list[str]) -> None:
    """Build the new index beside traffic, then put it in the old one's place."""
    new = f"{KEY}_new"
    with op.get_context().autocommit_block():
        op.drop_index(new, TABLE, if_exists=True)  # what an attempt that broke off has left
        op.create_index(new, TABLE, COLUMNS, unique=True, postgresql_include=include, postgresql_concurrently=True)
    op.drop_constraint(KEY, TABLE, type_="primary")
    op.execute(sa.text(f"ALTER TABLE {TABLE} ADD CONSTRAINT {KEY} PRIMARY KEY USING INDEX {new}"))
