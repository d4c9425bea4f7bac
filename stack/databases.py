"""Makes databases, roles and tables. Imported only when there is something to do: SQLAlchemy costs a second of every start."""

import asyncio
from collections.abc import Mapping

from psycopg.conninfo import make_conninfo

from chassis import names
from chassis.database.migrate import has_versions, upgrade
from chassis.database.roles import bootstrap
from stack.prepared import migrations
from stack.topology import SERVICES


async def prepare(admin_dsn: str, passwords: Mapping[str, str]) -> None:
    """Bring every service's database to what this release says."""
    await asyncio.gather(*(bootstrap(admin_dsn, service.name, passwords) for service in SERVICES))
    await asyncio.to_thread(_migrate, admin_dsn, passwords)


def _migrate(admin_dsn: str, passwords: Mapping[str, str]) -> None:
    """Migrate one service after the other: Alembic keeps the running migration in module globals."""
    for service in SERVICES:
        folder = migrations(service.name)
        if has_versions(folder):
            migrator = names.role(service.name, "migrator")
            dsn = make_conninfo(admin_dsn, user=migrator, password=passwords[migrator], dbname=names.database(service.name))
            upgrade(dsn, service.name, folder)
