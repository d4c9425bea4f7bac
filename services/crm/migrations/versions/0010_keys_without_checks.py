"""Keys of contacts lose their foreign key: each new key asked for its contact. The purge drops keys itself (decision 0041)."""

from alembic import op

revision = "0010"
down_revision = "0009"

KEY = "contact_keys_contact"


def upgrade() -> None:
    op.drop_constraint(KEY, "contact_keys", type_="foreignkey")


def downgrade() -> None:
    op.execute(
        "DELETE FROM contact_keys k WHERE NOT EXISTS (SELECT FROM contacts c WHERE c.tenant_id = k.tenant_id AND c.id = k.contact_id)"
    )
    columns = ["tenant_id", "contact_id"]
    op.create_foreign_key(KEY, "contact_keys", "contacts", columns, ["tenant_id", "id"], ondelete="CASCADE")
