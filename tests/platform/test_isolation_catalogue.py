"""Every service's database as its catalogue shows it: nothing in it lets one tenant see another."""

import re
from collections.abc import Iterator

import psycopg
import pytest
from alembic.migration import MigrationContext
from alembic.operations import Operations
from sqlalchemy import Column, Connection, MetaData, NullPool, UniqueConstraint, Uuid, create_engine

from chassis import names
from chassis.database import tenancy
from chassis.database.tables import tenant_table
from stack.topology import ROOT, SERVICES
from tests.conftest import AdminDsn
from tests.platform.catalogue import CHASSIS_GLOBALS, EXEMPT, GAPS, WITHOUT_TENANT, Gap

PLANTED_IN = "crm"


def connect(address: str) -> Connection:
    return create_engine("postgresql+psycopg://", creator=lambda: psycopg.connect(address), poolclass=NullPool).connect()


def offenders(connection: Connection, gap: Gap) -> set[str]:
    return set(connection.exec_driver_sql(gap.query).scalars())


@pytest.fixture
def planted(admin_dsn: AdminDsn) -> Iterator[Connection]:
    """A transaction of the administrator in which one good tenant table was made; nothing of it stays."""
    with connect(admin_dsn(PLANTED_IN)) as connection:
        keys = (UniqueConstraint("tenant_id", "id2"), UniqueConstraint("tenant_id", "id2", "id"))
        tenant_table("planted", MetaData(), Column("id", Uuid), Column("id2", Uuid), *keys).create(connection)
        tenancy.protect(Operations(MigrationContext.configure(connection)), "planted")
        yield connection
        connection.rollback()


@pytest.mark.parametrize("service", [service.name for service in SERVICES])
def test_the_catalogue_shows_no_gap(admin_dsn: AdminDsn, service: str) -> None:
    with connect(admin_dsn(service)) as connection:
        found = {gap.what: offenders(connection, gap) - EXEMPT.keys() for gap in GAPS}
    assert {what: who for what, who in found.items() if who} == {}


@pytest.mark.parametrize("service", [service.name for service in SERVICES])
def test_a_table_without_a_tenant_is_declared_global(admin_dsn: AdminDsn, service: str) -> None:
    readme = ROOT / "services" / service / "README.md"
    rows = [line.split("|") for line in readme.read_text().splitlines() if line.startswith("| `")] if readme.exists() else []
    declared = {name for _, tables, kind, *_ in rows if kind.strip() == "global" for name in re.findall(r"`(\w+)`", tables)}
    with connect(admin_dsn(service)) as connection:
        found = set(connection.exec_driver_sql(WITHOUT_TENANT).scalars())
    assert found == declared | CHASSIS_GLOBALS


@pytest.mark.parametrize("gap", GAPS, ids=str)
def test_a_planted_gap_is_seen(planted: Connection, gap: Gap) -> None:
    roles = {name: names.role(PLANTED_IN, name) for name in ("owner", "runtime", "system")}
    before = offenders(planted, gap)
    planted.exec_driver_sql(gap.plant.format(database=names.database(PLANTED_IN), **roles))
    assert before <= EXEMPT.keys()
    assert len(offenders(planted, gap) - before) == 1


def test_every_exemption_is_for_something_that_is_there(admin_dsn: AdminDsn) -> None:
    found: set[str] = set()
    for service in SERVICES:
        with connect(admin_dsn(service.name)) as connection:
            found |= {name for gap in GAPS for name in offenders(connection, gap)}
    assert found >= EXEMPT.keys()
