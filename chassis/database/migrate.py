"""Runs a service's Alembic migrations: a service has only version files, and this is the one environment for all of them."""

import argparse
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import psycopg
import stamina
from alembic import command
from alembic.config import Config
from alembic.operations import Operations
from alembic.runtime.migration import MigrationContext
from psycopg.errors import DeadlockDetected, LockNotAvailable
from sqlalchemy import Connection, NullPool, create_engine, text
from sqlalchemy.exc import OperationalError

from chassis import names
from chassis.database import audit_partitions

ENVIRONMENT: Final = Path(__file__).parent / "environment"
ONE_AT_A_TIME: Final = 0x6B697468
"""Key of the advisory lock that a migration holds ("kith"): two deployments take turns."""
ATTEMPTS: Final = 5


def upgrade(dsn: str, service: str, folder: Path, target: str = "head") -> None:
    """Migrate up to a revision with the migrator's DSN, and make the months ahead; `folder` is the service's `migrations`."""

    def steps(config: Config) -> None:
        command.upgrade(config, target)
        connection: Connection = config.attributes["connection"]
        with connection.begin():
            if audit_partitions.is_partitioned(connection):
                audit_partitions.make_ahead(Operations(MigrationContext.configure(connection)), datetime.now(UTC))

    _run(dsn, service, folder, steps)


def downgrade(dsn: str, service: str, folder: Path, target: str = "base") -> None:
    """Migrate down to a revision with the migrator's DSN."""
    _run(dsn, service, folder, lambda config: command.downgrade(config, target))


def has_versions(folder: Path) -> bool:
    """Say whether a service has migrations; a service without tables has none."""
    return any((folder / "versions").glob("*.py"))


def _waited_for_lock(error: Exception) -> bool:
    """Say whether a lock was waited for in vain. An index built beside traffic and the deployment that comes next wait for each other."""
    return isinstance(error, OperationalError) and isinstance(error.orig, LockNotAvailable | DeadlockDetected)


def _run(dsn: str, service: str, folder: Path, steps: Callable[[Config], None]) -> None:
    """Run the steps. One that waits too long for a lock gives way to traffic and is tried again."""
    config = Config()
    config.set_main_option("script_location", str(ENVIRONMENT))
    config.set_main_option("version_locations", str(folder / "versions"))
    config.set_main_option("path_separator", "newline")
    # Not as a decorator: that logs the arguments of what it tries again, and the password is one of them.
    for attempt in stamina.retry_context(on=_waited_for_lock, attempts=ATTEMPTS, wait_initial=1.0, timeout=None):
        with attempt, _as_owner(dsn, names.role(service, "owner")) as connection:
            config.attributes["connection"] = connection
            steps(config)


@contextmanager
def _as_owner(dsn: str, owner: str) -> Iterator[Connection]:
    """Connect as the migrator and act as the owner, who cannot sign in, so that tables belong to the owner.

    A backfill says SET LOCAL ROLE NONE: row-level security binds the owner too, and only the migrator sees through it.
    """
    engine = create_engine("postgresql+psycopg://", creator=lambda: psycopg.connect(dsn), poolclass=NullPool)
    with engine.connect() as connection:
        connection.execute(text(f"SELECT pg_advisory_lock({ONE_AT_A_TIME})"))
        connection.execute(text(f'SET ROLE "{owner}"'))
        connection.commit()
        yield connection


def main() -> None:
    """Migrate one service up, as a deployment does before the new release; the DSN is in KITH_MIGRATOR_DSN."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("service")
    parser.add_argument("folder", type=Path)
    said = parser.parse_args()
    upgrade(os.environ["KITH_MIGRATOR_DSN"], said.service, said.folder)


if __name__ == "__main__":
    main()
