"""What processes are told."""

from pathlib import Path

import pytest

from stack.layout import Layout
from stack.settings import Settings
from stack.topology import EDGE, HASHES, SERVICES, default_ports
from stack.wiring import Wiring, provide_secrets


@pytest.fixture
def wiring(tmp_path: Path) -> Wiring:
    layout = Layout(tmp_path)
    layout.create()
    return Wiring(Settings(data=tmp_path), layout, provide_secrets(layout.secrets), default_ports())


def test_who_hashes_passwords_gives_their_memory_back(wiring: Wiring, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GLIBC_TUNABLES", raising=False)
    told = {service.name: wiring.environment(service).get("GLIBC_TUNABLES") for service in (EDGE, *SERVICES)}
    assert {name: said for name, said in told.items() if said} == {"identity": HASHES}


def test_what_the_operator_says_about_memory_stands(wiring: Wiring, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GLIBC_TUNABLES", "glibc.malloc.arena_max=1")
    assert {wiring.environment(service)["GLIBC_TUNABLES"] for service in (EDGE, *SERVICES)} == {"glibc.malloc.arena_max=1"}
