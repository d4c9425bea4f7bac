"""Migrations of several deployments take turns."""

from pathlib import Path

import psycopg
import pytest
import stamina
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from sqlalchemy.exc import OperationalError
from structlog.testing import capture_logs

from chassis.database.migrate import ONE_AT_A_TIME, upgrade
from tests.unit.chassis.servers import Served


def test_a_deployment_whose_turn_does_not_come_tries_again_and_logs_no_password(crm: Served, tmp_path: Path) -> None:
    hasty = make_conninfo(crm.migrator, options="-c lock_timeout=50ms")
    with psycopg.connect(crm.migrator) as other, stamina.set_testing(True, attempts=2), capture_logs() as logs:
        other.execute("SELECT pg_advisory_lock(%s)", [ONE_AT_A_TIME])
        with pytest.raises(OperationalError):
            upgrade(hasty, "crm", tmp_path)
    assert [entry["event"] for entry in logs] == ["stamina.retry_scheduled"]
    assert str(conninfo_to_dict(crm.migrator)["password"]) not in str(logs)
