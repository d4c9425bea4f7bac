"""What the stores declare is what the migrations made."""

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from psycopg import connect
from sqlalchemy import NullPool, create_engine

from services.identity.attempts import store as attempts
from services.identity.keys import store as keys
from services.identity.members import store as members
from services.identity.sessions import store as sessions
from services.identity.store import METADATA
from services.identity.tenants import store as tenants
from services.identity.users import store as users

DECLARED = (attempts.attempts, keys.keys, members.memberships, sessions.sessions, tenants.tenants, users.users, users.passwords)


def test_the_declared_tables_are_the_migrated_ones(admin_dsn):
    assert set(METADATA.tables.values()) == set(DECLARED)
    engine = create_engine("postgresql+psycopg://", creator=lambda: connect(admin_dsn("identity")), poolclass=NullPool)
    with engine.connect() as connection:
        options = {"include_name": lambda name, kind, _: kind != "table" or name in METADATA.tables}
        assert compare_metadata(MigrationContext.configure(connection, opts=options), METADATA) == []
