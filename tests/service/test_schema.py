"""What the stores of a service declare is what its migrations made."""

import importlib
from pathlib import Path
from typing import Any

import psycopg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import MetaData, NullPool, create_engine

from chassis.database.audit_tables import TRAIL
from chassis.database.dead_letters import LETTERS
from chassis.database.subject_keys import KEYS
from chassis.database.system_tables import SYSTEM
from chassis.mail.table import MAILS
from stack.topology import ROOT, SERVICES
from tests.conftest import AdminDsn


def declared(service: str) -> MetaData:
    """Return the tables of all stores of a service; one without a `store.py` has none of its own."""
    modules: dict[Path, Any] = {}
    for path in (ROOT / "services" / service).rglob("store.py"):
        modules[path.parent] = importlib.import_module(".".join(path.relative_to(ROOT).with_suffix("").parts))
    metadata: MetaData = modules[ROOT / "services" / service].METADATA if modules else MetaData()
    return metadata


@pytest.mark.filterwarnings("ignore:Did not recognize type 'xid8'")  # of the audit log, which is none of the service's tables
@pytest.mark.parametrize("service", [service.name for service in SERVICES])
def test_the_tables_are_those_that_the_stores_declare(admin_dsn: AdminDsn, service: str) -> None:
    engine = create_engine("postgresql+psycopg://", creator=lambda: psycopg.connect(admin_dsn(service)), poolclass=NullPool)
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"include_object": _of_the_service})
        assert compare_metadata(context, declared(service)) == []


def _of_the_service(_: object, name: str, kind: str, _reflected: bool, _other: object) -> bool:
    of_the_chassis = {*SYSTEM.tables, *LETTERS.tables, *KEYS.tables, *TRAIL.tables, *MAILS.tables, "alembic_version"}
    return kind != "table" or not (name in of_the_chassis or name.startswith(("procrastinate_", "audit_log_")))
