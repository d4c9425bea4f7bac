"""What the stores declare is what the migrations made."""

import psycopg
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import create_engine

from chassis.database.system_tables import SYSTEM
from services.crm.change_sets import store as change_sets
from services.crm.contacts import store as contacts
from services.crm.members import store as members
from services.crm.runs import store as runs
from services.crm.store import METADATA
from services.crm.tenants import store as tenants
from tests.conftest import AdminDsn


def test_the_tables_are_those_that_the_stores_declare(admin_dsn: AdminDsn) -> None:
    records = {contacts.contacts, contacts.contact_keys, contacts.companies, members.members, tenants.tenants}
    assert records | {change_sets.change_sets, change_sets.changes, runs.runs} == set(METADATA.tables.values())
    engine = create_engine("postgresql+psycopg://", creator=lambda: psycopg.connect(admin_dsn("crm")))
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"include_object": _ours})
        assert compare_metadata(context, METADATA) == []
    engine.dispose()


def _ours(_: object, name: str, kind: str, _reflected: bool, _other: object) -> bool:
    foreign = {*SYSTEM.tables, "alembic_version"}
    return not (kind == "table" and (name in foreign or name.startswith("procrastinate_")))
