"""The one platform of a test session: real processes, started by whoever needs them first, stopped when the session ends."""

import fcntl
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import psutil

from stack.layout import Layout
from stack.settings import Settings
from stack.state import State
from stack.topology import default_ports
from stack.waiting import survivors
from stack.wiring import Wiring

FOLDER: Final = "KITH_TEST_FOLDER"
SESSION: Final = "KITH_TEST_SESSION"
KITH: Final = str(Path(sys.executable).with_name("kith"))
START_SECONDS: Final = 300.0
POLL_SECONDS: Final = 0.05
MOST_ERRORS: Final = 10

ENVIRONMENT: Final = {
    # Nobody asks but tests; those of the canary start one.
    "KITH_CANARY": "false",
    # Any free port, so that a platform of one's own may run beside.
    "KITH_PORTS": json.dumps(dict.fromkeys(default_ports(), 0)),
    # Limits are counted and never met; tests of limits start an edge of their own.
    "KITH_RATE_SCALE": "100000",
    "KITH_TRACE_RATIO": "0",
    # The machine's power does not fail in a test; processes may.
    "KITH_POSTGRES": json.dumps({"fsync": "off", "full_page_writes": "off"}),
}
PATIENT: Final = {
    # A machine that is slow, or does much else, is no fault: nothing is given up there that a quick one would end.
    "KITH_READY_TIMEOUT": "240",
    "KITH_CALL_SECONDS": "60",
    "KITH_DEFAULT_DEADLINE": "60",
}


def prepare_session() -> None:
    """Make the session's folder; workers find it by the environment that they inherit."""
    os.environ[FOLDER] = tempfile.mkdtemp(prefix="kith-tests-")
    os.environ[SESSION] = str(os.getpid())


def end_session() -> None:
    """Stop the platform if anybody started it, and leave nothing behind. A second call changes nothing."""
    if FOLDER not in os.environ:
        return
    folder = Path(os.environ.pop(FOLDER))
    if State.load(Layout(folder / "data").state):
        subprocess.run([KITH, "down", "--data", str(folder / "data")], check=False, stdout=subprocess.DEVNULL)
    shutil.rmtree(folder)


def shared() -> Wiring:
    """Return how to reach the platform; the first caller of all workers starts it. Raises RuntimeError."""
    folder = Path(os.environ[FOLDER])
    with _locked(folder / "lock"):
        state = State.load(Layout(folder / "data").state)
        if not (state and state.is_ready):
            state = _start(folder)
    return Wiring.of(Settings.load(folder / "data"), state)


def errors_since(moment: float) -> list[str]:
    """Return the errors that the platform's processes logged since then, whichever test they are about."""
    since = datetime.fromtimestamp(moment, UTC).isoformat(timespec="microseconds")
    found: list[dict[str, Any]] = []
    for log in Layout(Path(os.environ[FOLDER]) / "data").logs.glob("*.log"):
        lines = [line for line in log.read_text(errors="replace").splitlines() if '"level":"error"' in line and line.endswith("}")]
        found += [line for line in map(json.loads, lines) if line["time"] >= since]
    return [json.dumps(line) for line in sorted(found, key=lambda line: line["time"])[:MOST_ERRORS]]


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _start(folder: Path) -> State:
    log = folder / "up.log"
    if log.exists():
        raise RuntimeError(f"the platform did not start for an earlier test:\n{log.read_text()}")
    command = [KITH, "up", "--no-seed", "--data", str(folder / "data"), "--ends-with", os.environ[SESSION]]
    return wait_until_ready(folder / "data", spawn(command, log, **PATIENT), log)


def spawn(command: list[str], log: Path, **environment: str) -> psutil.Process:
    """Start a process that may outlive whoever started it."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
    outputs = [(os.POSIX_SPAWN_OPEN, 1, str(log), flags, 0o600), (os.POSIX_SPAWN_DUP2, 1, 2)]
    return psutil.Process(
        os.posix_spawn(command[0], command, {**os.environ, **ENVIRONMENT, **environment}, file_actions=outputs, setsid=True)
    )


def wait_until_ready(data: Path, process: psutil.Process, log: Path) -> State:
    """Return the state of a platform that was just started, once all of it answers. Raises RuntimeError."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        state = State.load(Layout(data).state)
        if state and state.supervisor.pid == process.pid and state.is_ready:
            return state
        if not survivors([process], POLL_SECONDS):
            break
    else:
        process.kill()
    raise RuntimeError(f"the platform did not start:\n{log.read_text()}")
