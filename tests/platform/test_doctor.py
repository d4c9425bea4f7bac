"""`kith doctor` sees what is wrong and says the fix."""

import socket
from pathlib import Path

import pytest

from stack import doctor, ports
from stack.layout import Layout
from stack.settings import Settings, SettingsError
from stack.state import ProcessId, State
from stack.topology import EDGE, default_ports


def _settings(data: Path, **said: object) -> Settings:
    return Settings.model_validate({"data": data, "ports": dict.fromkeys(default_ports(), 0), **said})


def _fixes(settings: Settings) -> dict[str, str]:
    return {finding.subject: finding.fix for finding in doctor.examine(settings) if finding.fix}


def test_a_healthy_machine_needs_no_fix(tmp_path: Path) -> None:
    assert _fixes(_settings(tmp_path / "data")) == {}


def test_a_busy_port_is_named(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        busy = {**dict.fromkeys(default_ports(), 0), EDGE.name: taken.getsockname()[1]}
        fixes = _fixes(_settings(tmp_path / "data", ports=busy))
    assert "KITH_PORTS__EDGE" in fixes["port edge"]


def test_open_secrets_are_named(tmp_path: Path) -> None:
    layout = Layout(tmp_path / "data")
    layout.create()
    secret = layout.secrets / "master.key"
    secret.touch(mode=0o644)
    secret.chmod(0o644)
    assert _fixes(_settings(layout.data))["secrets"] == f"chmod go= {secret}"


def test_a_killed_platform_is_seen(tmp_path: Path) -> None:
    layout = Layout(tmp_path / "data")
    layout.create()
    State(supervisor=ProcessId(pid=2**22, started=0), url="").save(layout.state)
    assert "kith down" in _fixes(_settings(layout.data))["platform"]


def test_a_database_that_does_not_answer_is_named(tmp_path: Path) -> None:
    url = "postgresql://somebody:secret@127.0.0.1:1/postgres"
    fix = _fixes(_settings(tmp_path / "data", database_url=url))["KITH_DATABASE_URL"]
    assert "check the address" in fix
    assert "secret" not in fix


@pytest.mark.parametrize(
    ("variable", "value", "says"),
    [
        ("KITH_PORTS__EDGE", "65536", "a port is 0 (any free one) to 65535"),
        ("KITH_PORTS__EDGE", "http", "KITH_PORTS__EDGE"),
        ("KITH_PORTS__NOWHERE", "1", "there is no port called 'nowhere'"),
        ("KITH_READY_TIMEOUT", "0", "KITH_READY_TIMEOUT"),
    ],
)
def test_a_wrong_setting_is_named(monkeypatch: pytest.MonkeyPatch, variable: str, value: str, says: str) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(SettingsError) as refused:
        Settings.load()
    assert says in str(refused.value)


def test_no_two_names_get_the_same_port() -> None:
    settled, moved = ports.settle("127.0.0.1", dict.fromkeys(default_ports(), 0))
    assert len(set(settled.values())) == len(settled)
    assert moved == []
