"""No service holds more than it needs, and what an installation keeps on disk is for its owner's eyes."""

import stat
from pathlib import Path

import psutil
import psycopg
import pytest

from stack.postgres import SUPERUSER
from stack.settings import Settings
from stack.state import State
from stack.topology import EDGE, NATS, POSTGRES, SERVICES
from stack.wiring import Wiring


@pytest.mark.parametrize("service", [service.name for service in (*SERVICES, EDGE)])
def test_a_service_is_told_no_password_but_its_own(platform: Wiring, service: str) -> None:
    state = State.load(platform.layout.state)
    assert state
    running = state.processes[service].id
    assert running
    environment = "\n".join(psutil.Process(running.pid).environ().values())
    told = {name for name, password in platform.secrets.passwords.items() if password in environment}
    databases = set() if service == EDGE.name else {f"kith_{service}_runtime", f"kith_{service}_system"}
    assert told == {service, *databases}


@pytest.mark.parametrize("role", ["runtime", "system"])
def test_a_role_of_one_service_does_not_enter_the_database_of_another(platform: Wiring, role: str) -> None:
    with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
        psycopg.connect(platform.dsn("crm", role), dbname="kith_identity")


@pytest.mark.parametrize("user", [SUPERUSER, "kith_crm_runtime"])
def test_nobody_signs_in_without_the_password(platform: Wiring, user: str) -> None:
    with pytest.raises(psycopg.OperationalError, match="password"):
        psycopg.connect(platform.admin_dsn(), user=user, password="wrong")


def test_owner_and_definer_cannot_sign_in(platform: Wiring) -> None:
    with psycopg.connect(platform.admin_dsn()) as connection:
        found = connection.execute("SELECT rolname FROM pg_roles WHERE rolname ~ '^kith_.*_(owner|definer)$' AND rolcanlogin").fetchall()
    assert found == []


def test_only_the_migrator_and_the_definer_see_past_row_level_security(platform: Wiring) -> None:
    with psycopg.connect(platform.admin_dsn()) as connection:
        found = connection.execute("SELECT rolname FROM pg_roles WHERE rolname LIKE 'kith\\_%' AND (rolbypassrls OR rolsuper)").fetchall()
    assert {name.rsplit("_", 1)[1] for (name,) in found} == {"migrator", "definer"}


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT set_config('app.tenant_id', 'x', false)",
        "UPDATE pg_settings SET setting = 'x' WHERE name = 'app.tenant_id'",
        "DO $$ BEGIN END $$",
        "CREATE TEMP TABLE mine (id int)",
        "CREATE TABLE mine (id int)",
        "CREATE FUNCTION mine() RETURNS int LANGUAGE sql AS 'SELECT 1'",
        "SELECT lo_create(0)",
        "SELECT lo_from_bytea(0, 'x')",
        "SELECT query_to_xml('SELECT 1', true, true, '')",
        "SELECT * FROM ts_stat('SELECT to_tsvector(''x'')')",
        "SELECT pg_terminate_backend(1)",
        "SET ROLE kith_crm_owner",
        "SET ROLE kith_crm_definer",
        "SET SESSION AUTHORIZATION postgres",
        "COPY (SELECT 1) TO PROGRAM 'true'",
    ],
)
@pytest.mark.parametrize("role", ["runtime", "system"])
def test_what_an_injected_statement_would_want_is_refused(platform: Wiring, role: str, statement: str) -> None:
    with psycopg.connect(platform.dsn("crm", role)) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
        connection.execute(statement.encode())


def test_what_is_kept_is_private(platform: Wiring) -> None:
    layout = platform.layout
    assert [path for path in _below(layout.data) if _is_open(path)] == []


def _is_open(path: Path) -> bool:
    """Say whether others may read it; what another test's command just replaced is gone."""
    try:
        found = path.stat().st_mode
    except FileNotFoundError:
        return False
    return bool(stat.S_IMODE(found) & 0o077) and not stat.S_ISSOCK(found)


def _below(folder: Path) -> list[Path]:
    """Return our own files; what PostgreSQL and NATS write lies inside of folders that are private."""
    servers = {POSTGRES, NATS}
    return [
        folder,
        *folder.iterdir(),
        *(path for each in folder.iterdir() if each.is_dir() and each.name not in servers for path in each.iterdir()),
    ]


def test_logs_hold_no_password(platform: Wiring) -> None:
    logs = "".join(path.read_text(errors="replace") for path in platform.layout.logs.iterdir())
    assert [name for name, password in platform.secrets.passwords.items() if password in logs] == []


def test_folders_above_the_data_folder_keep_their_modes(platform: Wiring, tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    layout = type(platform.layout)(Settings(data=closed / "data").data)
    layout.create()
    assert stat.S_IMODE(closed.stat().st_mode) == 0o700
