"""The tables of the sealing: batches of audit rows with their digests, and how far they reach."""

from datetime import UTC, datetime
from typing import Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Index,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    Text,
    text,
    true,
)

from chassis.database import audit_partitions, tenancy
from chassis.database.columns import moment
from chassis.database.tables import tenant_table
from chassis.database.tenancy import Operations

TRAIL: Final = MetaData()

audit_batches: Final = tenant_table(
    "audit_batches",
    TRAIL,
    Column("number", BigInteger, nullable=False),
    moment("batch_time"),
    Column("row_count", BigInteger, nullable=False),
    Column("root", LargeBinary, nullable=False),
    Column("ids", LargeBinary, nullable=False),
    Column("leaves", LargeBinary, nullable=False),
    Column("seal_number", BigInteger),
    Column("seal_digest", LargeBinary),
    PrimaryKeyConstraint("tenant_id", "number"),
    CheckConstraint("number >= 1 AND seal_number >= 0", name="audit_batches_numbers"),
    Index("audit_batches_unsealed", "tenant_id", "number", postgresql_where=text("seal_number IS NULL")),
)
"""The ids of a batch's rows and their leaves stand one behind the other, 16 and 32 bytes each, by id."""

audit_progress: Final = Table(
    "audit_progress",
    TRAIL,
    Column("single", Boolean, CheckConstraint("single"), primary_key=True, server_default=true()),
    Column("snapshot", Text, nullable=False),
)
"""Class system, one row: the snapshot (pg_snapshot) of the last batches. Each row that it shows is in one, and no other is."""

_BEFORE_ALL: Final = "1:1:"


def create(op: Operations) -> None:
    """Partition the audit log, and create the tables with their rights: the system role seals, and changes nothing that is sealed."""
    audit_partitions.partition(op, datetime.now(UTC))
    TRAIL.create_all(op.get_bind())
    # Digests do not get smaller: nobody needs to try.
    op.execute("ALTER TABLE audit_batches ALTER COLUMN ids SET STORAGE EXTERNAL, ALTER COLUMN leaves SET STORAGE EXTERNAL")
    op.execute(f"INSERT INTO audit_progress (snapshot) VALUES ('{_BEFORE_ALL}')")  # noqa: S608 - a constant
    tenancy.protect(op, "audit_batches", grants="SELECT")
    tenancy.open_to_system(op, "audit_log", "SELECT")
    tenancy.open_to_system(op, "audit_batches", "SELECT, INSERT, UPDATE (seal_number, seal_digest)")
    tenancy.grant(op, "audit_progress", grants="SELECT")
    op.execute(f"GRANT SELECT, UPDATE ON audit_progress TO {tenancy.role(op, 'system')}")


def drop(op: Operations) -> None:
    """Drop them again; the rows of the audit log stay, and nobody can prove any more that they are all."""
    TRAIL.drop_all(op.get_bind())
    audit_partitions.unite(op)
