"""The audit log by months: rows are never changed, and what is older than its retention can go a month at a time.

The id of a row is a UUIDv7 (RFC 9562, section 5.7), which begins with the time, so the primary key stays what it was. Months
are made ahead by the migrator, at each deployment. Rows of a month that nobody made go into a partition of their own, so that no
call ever fails for it; that month is not made any more.
"""

from datetime import UTC, datetime
from typing import Final

from sqlalchemy import Connection, text

from chassis.database import tenancy
from chassis.database.tenancy import Operations

AHEAD: Final = 3
"""Months beyond the one that runs."""

_FIRST: Final = "audit_log_first"
_REST: Final = "audit_log_rest"

_INDEXES: Final = (("audit_log_pkey", f"{_FIRST}_pkey"), ("audit_log_resource", f"{_FIRST}_resource"))
_GUARD: Final = """
    CREATE FUNCTION keep_audit_row() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        RAISE EXCEPTION 'the audit log is never changed' USING ERRCODE = 'insufficient_privilege';
    END $$
"""


def partition(op: Operations, now: datetime) -> None:
    """Make months of the one table; what it holds becomes the first partition, without being copied.

    Each row notes its transaction from now on, for the sealing (`chassis/trail`). The index by time goes: ids are in that order.
    """
    runtime, month = tenancy.role(op, "runtime"), _month(now)
    op.execute(f"ALTER TABLE audit_log RENAME TO {_FIRST}")
    op.execute("DROP INDEX audit_log_at")
    for name, renamed in _INDEXES:
        op.execute(f"ALTER INDEX {name} RENAME TO {renamed}")
    op.execute(f"REVOKE ALL ON {_FIRST} FROM {runtime}")
    # A constant does not write the table anew; 1 is older than any transaction of a user.
    op.execute(f"ALTER TABLE {_FIRST} ADD COLUMN xid xid8 NOT NULL DEFAULT '1'")
    op.execute(f"ALTER TABLE {_FIRST} ALTER COLUMN xid SET DEFAULT pg_current_xact_id()")
    op.execute(f"CREATE TABLE audit_log (LIKE {_FIRST} INCLUDING DEFAULTS, PRIMARY KEY (tenant_id, id)) PARTITION BY RANGE (id)")
    op.execute("CREATE INDEX audit_log_resource ON audit_log (tenant_id, resource_id, version)")
    op.execute("CREATE INDEX audit_log_xid ON audit_log (xid)")
    op.execute(f"ALTER TABLE audit_log ATTACH PARTITION {_FIRST} FOR VALUES FROM (MINVALUE) TO ('{_bound(_next(month))}')")
    _make(op, _REST, "DEFAULT")
    tenancy.protect(op, "audit_log", grants="SELECT, INSERT")
    op.execute(_GUARD)
    op.execute("CREATE TRIGGER keep BEFORE UPDATE OR DELETE ON audit_log FOR EACH ROW EXECUTE FUNCTION keep_audit_row()")
    make_ahead(op, now)


def unite(op: Operations) -> None:
    """Make one table of the months again."""
    op.execute("ALTER TABLE audit_log RENAME TO audit_log_months")
    op.execute("CREATE TABLE audit_log (LIKE audit_log_months INCLUDING DEFAULTS)")
    op.execute("SET LOCAL ROLE NONE")  # row-level security binds the owner too
    op.execute("INSERT INTO audit_log SELECT * FROM audit_log_months")
    op.execute(f"SET LOCAL ROLE {tenancy.role(op, 'owner')}")
    op.execute("DROP TABLE audit_log_months")
    op.execute("DROP FUNCTION keep_audit_row()")
    op.execute("ALTER TABLE audit_log DROP COLUMN xid")
    op.execute("ALTER TABLE audit_log ADD PRIMARY KEY (tenant_id, id)")
    op.execute("CREATE INDEX audit_log_resource ON audit_log (tenant_id, resource_id, version)")
    op.execute("CREATE INDEX audit_log_at ON audit_log (tenant_id, at)")
    tenancy.protect(op, "audit_log", grants="SELECT, INSERT")


def is_partitioned(connection: Connection) -> bool:
    """Say whether the audit log has months: a service that is not migrated so far has none."""
    return connection.execute(text("SELECT relkind = 'p' FROM pg_class WHERE oid = to_regclass('audit_log')")).scalar() is True


def make_ahead(op: Operations, now: datetime) -> None:
    """Make the months that are missing; it may be repeated. None is locked against rows meanwhile."""
    month = _next(_month(now))
    for _ in range(AHEAD):
        name, first, last = f"audit_log_{month:%Y_%m}", _bound(month), _bound(_next(month))
        missing = op.get_bind().execute(text("SELECT to_regclass(:name) IS NULL"), {"name": name}).scalar_one()
        if missing and not _in_the_rest(op, first, last):
            _make(op, name, f"FOR VALUES FROM ('{first}') TO ('{last}')")
        month = _next(month)


def _make(op: Operations, name: str, bounds: str) -> None:
    op.execute(f"CREATE TABLE {name} (LIKE audit_log INCLUDING DEFAULTS)")
    tenancy.bind(op, name)
    op.execute(f"ALTER TABLE audit_log ATTACH PARTITION {name} {bounds}")


def _in_the_rest(op: Operations, first: str, last: str) -> bool:
    """Say whether rows of a month found none, so that it cannot be made behind them."""
    op.execute("SET LOCAL ROLE NONE")  # row-level security binds the owner too
    statement = text(f"SELECT EXISTS (SELECT FROM {_REST} WHERE id >= CAST(:first AS uuid) AND id < CAST(:last AS uuid))")  # noqa: S608 - a constant
    found: bool = op.get_bind().execute(statement, {"first": first, "last": last}).scalar_one()
    op.execute(f"SET LOCAL ROLE {tenancy.role(op, 'owner')}")
    return found


def _month(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)


def _next(month: datetime) -> datetime:
    return month.replace(year=month.year + month.month // 12, month=month.month % 12 + 1)


def _bound(month: datetime) -> str:
    """Return the least id of a month."""
    digits = f"{round(month.timestamp() * 1000):012x}"
    return f"{digits[:8]}-{digits[8:]}-0000-0000-000000000000"
