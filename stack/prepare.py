"""Makes databases, roles, tables and streams. Imported only when there is something to do: SQLAlchemy costs a second of a start."""

import asyncio
from collections.abc import Mapping

from psycopg.conninfo import make_conninfo

from chassis import names
from chassis.database.migrate import has_versions, upgrade
from chassis.database.roles import bootstrap
from chassis.events.streams import ensure_streams
from stack.operator_client import connect
from stack.prepared import migrations
from stack.topology import OPERATOR, SERVICES
from stack.wiring import Wiring


async def prepare(wiring: Wiring) -> None:
    """Bring every service's database and stream to what this release says."""
    admin_dsn, passwords = wiring.admin_dsn(), wiring.secrets.passwords
    await asyncio.gather(*(bootstrap(admin_dsn, service.name, passwords) for service in SERVICES))
    await asyncio.to_thread(_migrate, admin_dsn, passwords)
    async with await connect(wiring.nats_url(OPERATOR)) as connection:
        await ensure_streams(connection.jetstream(), [service.name for service in SERVICES])


def _migrate(admin_dsn: str, passwords: Mapping[str, str]) -> None:
    """Migrate one service after the other: Alembic keeps the running migration in module globals."""
    for service in SERVICES:
        folder = migrations(service.name)
        if has_versions(folder):
            migrator = names.role(service.name, "migrator")
            dsn = make_conninfo(admin_dsn, user=migrator, password=passwords[migrator], dbname=names.database(service.name))
            upgrade(dsn, service.name, folder)
