"""Makes databases, roles, tables and streams. Imported only when there is something to do: SQLAlchemy costs a second of a start."""

import asyncio
from collections.abc import Mapping
from typing import Final

from nats.errors import Error as NatsError
from psycopg import OperationalError
from psycopg.conninfo import make_conninfo

from chassis import names
from chassis.database.migrate import has_versions, upgrade
from chassis.database.roles import UnsupportedServerError, bootstrap
from chassis.events.streams import ensure_streams
from stack.operator_client import connect
from stack.prepared import migrations
from stack.processes.supervisor import StartError
from stack.topology import EDGE, OPERATOR, SERVICES
from stack.wiring import Wiring

STREAM_SECONDS: Final = 30.0  # that the server may take to make one


async def prepare(wiring: Wiring) -> None:
    """Bring every service's database and stream to what this release says. Raises StartError."""
    try:
        await _databases(wiring.admin_dsn(), wiring.secrets.passwords)
    except (OperationalError, UnsupportedServerError) as error:
        raise StartError(f"PostgreSQL cannot be prepared (KITH_DATABASE_URL, if it is yours): {error}") from None
    try:
        await _streams(wiring.nats_url(OPERATOR))
    except (OSError, NatsError) as error:
        raise StartError(f"NATS cannot be prepared (KITH_NATS_URL, if it is yours): {error}") from None


async def _databases(admin_dsn: str, passwords: Mapping[str, str]) -> None:
    await asyncio.gather(*(bootstrap(admin_dsn, service.name, passwords) for service in SERVICES))
    await asyncio.to_thread(_migrate, admin_dsn, passwords)


async def _streams(url: str) -> None:
    async with await connect(url) as connection:
        await ensure_streams(connection.jetstream(timeout=STREAM_SECONDS), [service.name for service in (EDGE, *SERVICES)])


def _migrate(admin_dsn: str, passwords: Mapping[str, str]) -> None:
    """Migrate one service after the other: Alembic keeps the running migration in module globals."""
    for service in SERVICES:
        folder = migrations(service.name)
        if has_versions(folder):
            migrator = names.role(service.name, "migrator")
            dsn = make_conninfo(admin_dsn, user=migrator, password=passwords[migrator], dbname=names.database(service.name))
            upgrade(dsn, service.name, folder)
