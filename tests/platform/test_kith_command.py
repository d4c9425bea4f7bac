"""The command `kith` from outside: started in one terminal, looked at and stopped from another, killed and started again."""

import asyncio
import json
import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import psycopg
import pytest

from stack.layout import Layout
from stack.settings import Settings
from stack.state import State
from stack.topology import EDGE, SERVICES
from stack.wiring import Wiring
from tests import running
from tests.unit.chassis import servers

SECONDS = 300


class Terminal:
    """Where somebody types `kith` about one data folder."""

    def __init__(self, data: Path, log: Path) -> None:
        self.data = data
        self.log = log
        self._up: psutil.Process | None = None

    def up(self, **environment: str) -> State:
        self._up = running.spawn(
            [running.KITH, "up", "--no-seed", "--data", str(self.data)], self.log, **{**running.PATIENT, **environment}
        )
        return running.wait_until_ready(self.data, self._up, self.log)

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [running.KITH, *arguments, "--data", str(self.data)]
        return subprocess.run(
            command, env={**os.environ, **running.ENVIRONMENT}, capture_output=True, text=True, timeout=SECONDS, check=False
        )

    def end(self, number: signal.Signals) -> int | None:
        assert self._up
        self._up.send_signal(number)
        return self._up.wait(SECONDS)

    def close(self) -> None:
        self.run("down")


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Terminal]:
    opened = Terminal(tmp_path / "data", tmp_path / "up.log")
    yield opened
    opened.close()


def _processes(state: State) -> list[psutil.Process]:
    return [psutil.Process(process.id.pid) for process in state.processes.values() if process.id]


def test_one_terminal_starts_what_another_looks_at_and_stops(terminal: Terminal) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        wanted = taken.getsockname()[1]
        ports = json.dumps({**json.loads(running.ENVIRONMENT["KITH_PORTS"]), EDGE.name: wanted})
        state = terminal.up(KITH_PORTS=ports, KITH_CANARY="true")
    assert state.ports[EDGE.name] != wanted
    assert f"port {wanted} of edge is busy, it takes {state.ports[EDGE.name]}" in terminal.log.read_text()
    assert httpx.get(f"{state.url}/readyz", timeout=SECONDS).status_code == httpx.codes.OK

    seen = json.loads(terminal.run("status", "--json").stdout)
    assert seen["running"]
    assert set(seen["processes"]) == {"postgres", "nats", "edge", "canary", *(service.name for service in SERVICES)}

    second = terminal.run("up", "--no-seed")
    assert second.returncode == 1
    assert "already runs" in second.stderr

    processes = _processes(state)
    assert terminal.run("down").returncode == 0
    assert [process for process in processes if process.is_running()] == []
    assert terminal.run("status").returncode == 1


async def test_what_is_killed_is_started_again_and_loses_nothing(terminal: Terminal) -> None:
    before = terminal.up()
    _write_down(terminal)
    await _survives_the_death_of_a_service(terminal, before)
    terminal.end(signal.SIGKILL)
    after = terminal.up(KITH_PORTS=json.dumps(before.ports))
    assert after.ports == before.ports
    assert _written_down(terminal)
    assert terminal.end(signal.SIGINT) == 0


@pytest.mark.full
async def test_the_operators_own_servers_are_used_and_left_alone(terminal: Terminal, tmp_path: Path) -> None:
    (tmp_path / "streams").mkdir()
    async with servers.postgres(tmp_path / "own") as dsn, servers.nats_server(tmp_path / "streams") as nats:
        state = await asyncio.to_thread(terminal.up, KITH_DATABASE_URL=dsn, KITH_NATS_URL=nats.url)
        assert set(state.processes) == {EDGE.name, *(service.name for service in SERVICES)}
        assert state.ports.keys().isdisjoint({"postgres", "nats"})
        assert (await asyncio.to_thread(httpx.get, f"{state.url}/readyz", timeout=SECONDS)).status_code == httpx.codes.OK
        assert await asyncio.to_thread(terminal.end, signal.SIGINT) == 0
        with psycopg.connect(dsn) as connection:
            databases = connection.execute("SELECT datname FROM pg_database WHERE datname LIKE 'kith%'").fetchall()
        assert {name for (name,) in databases} == {f"kith_{service.name}" for service in SERVICES}


async def _survives_the_death_of_a_service(terminal: Terminal, before: State) -> None:
    victim = before.processes["ai"].id
    assert victim
    os.kill(victim.pid, signal.SIGKILL)
    async with asyncio.timeout(SECONDS):
        while not ((after := _state(terminal)).processes["ai"].restarts == 1 and after.is_ready):  # noqa: ASYNC110 - another process's doing
            await asyncio.sleep(0.1)
    assert after.processes["ai"].id != victim
    assert "ai: ended with -9, restarting" in terminal.log.read_text()


def _state(terminal: Terminal) -> State:
    state = State.load(Layout(terminal.data).state)
    assert state
    return state


def _wiring(terminal: Terminal) -> Wiring:
    return Wiring.of(Settings.load(terminal.data), _state(terminal))


def _write_down(terminal: Terminal) -> None:
    with psycopg.connect(_wiring(terminal).admin_dsn()) as connection:
        connection.execute("CREATE TABLE written AS SELECT 1 AS down")


def _written_down(terminal: Terminal) -> bool:
    with psycopg.connect(_wiring(terminal).admin_dsn()) as connection:
        return connection.execute("SELECT down FROM written").fetchone() == (1,)
