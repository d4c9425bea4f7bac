"""A real PostgreSQL and a real NATS for the tests of the chassis, and one service's database and stream in them."""

import contextlib
import secrets
import socket
import sys
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path

import psycopg
from alembic.migration import MigrationContext
from alembic.operations import Operations
from psycopg.conninfo import make_conninfo
from sqlalchemy import NullPool, create_engine, text

from chassis import names
from chassis.database import audit_tables, dead_letters, roles, subject_keys, system_tables
from stack import ports
from stack.layout import Layout
from stack.postgres import Cluster
from stack.processes.supervisor import Child, Command
from stack.settings import Settings


def free_port() -> int:
    """Return a port that nobody else takes, not even while the server on it is down for a moment."""
    return ports.settle("127.0.0.1", {"server": 0})[0]["server"]


@dataclass(frozen=True)
class Served:
    """One service's database by role."""

    name: str
    runtime: str
    system: str
    migrator: str
    admin: str


@contextlib.asynccontextmanager
async def postgres(folder: Path) -> AsyncIterator[str]:
    """Yield the administrator's DSN of a fresh server that forgets everything fast."""
    layout = Layout(folder)
    layout.create()
    settings = Settings(ready_timeout=240, postgres={"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"})
    cluster = Cluster(layout, settings, port=free_port(), password=secrets.token_hex(8))
    await cluster.create()
    child = Child(cluster.command(), lambda _: None)
    await child.start()
    try:
        yield cluster.admin_dsn()
    finally:
        await child.stop()


async def database(admin_dsn: str, service: str) -> Served:
    """Make a service's roles, its database and the chassis's tables in it."""
    passwords = {names.role(service, role): secrets.token_hex(8) for role in names.SIGNING_IN}
    await roles.bootstrap(admin_dsn, service, passwords)

    def dsn(role: str) -> str:
        name = names.role(service, role)
        return make_conninfo(admin_dsn, user=name, password=passwords[name], dbname=names.database(service))

    served = Served(service, dsn("runtime"), dsn("system"), dsn("migrator"), make_conninfo(admin_dsn, dbname=names.database(service)))
    migrate(served, system_tables.create)
    migrate(served, dead_letters.create)
    migrate(served, subject_keys.create)
    migrate(served, audit_tables.create)
    return served


def migrate(served: Served, step: Callable[[Operations], None]) -> None:
    """Do what a migration does, as the owner."""
    engine = create_engine("postgresql+psycopg://", creator=lambda: psycopg.connect(served.migrator), poolclass=NullPool)
    with engine.begin() as connection:
        connection.execute(text(f'SET ROLE "{names.role(served.name, "owner")}"'))
        step(Operations(MigrationContext.configure(connection)))


@dataclass
class Nats:
    """A server that a test may stop and start again; its streams stay."""

    url: str
    child: Child

    async def start(self) -> None:
        self.child = Child(self.child.command, lambda _: None)
        await self.child.start()

    async def stop(self) -> None:
        await self.child.stop()


@contextlib.asynccontextmanager
async def nats_server(folder: Path) -> AsyncIterator[Nats]:
    port = free_port()

    async def answers() -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) == 0

    command = Command(
        name="nats",
        argv=[str(Path(sys.executable).parent / "nats-server"), "-a", "127.0.0.1", "-p", str(port), "-js", "-sd", str(folder)],
        env={},
        cwd=folder,
        log=folder / "log",
        address=f"127.0.0.1:{port}",
        probe=answers,
        ready_timeout=120,
        stop_timeout=10,
    )
    server = Nats(f"nats://127.0.0.1:{port}", Child(command, lambda _: None))
    await server.start()
    try:
        yield server
    finally:
        await server.stop()
