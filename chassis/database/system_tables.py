"""The tables that every service has for the chassis: outbox, inbox, idempotency keys, the audit log, and those of jobs."""

from typing import Any, Final

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Column,
    DateTime,
    Identity,
    Index,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    Text,
    Uuid,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from chassis.database import columns, job_tables, tenancy
from chassis.database.tables import global_table, tenant_table
from chassis.database.tenancy import Operations

SYSTEM: Final = MetaData()


def _moment(name: str, **options: Any) -> Column[Any]:
    return Column(name, DateTime(timezone=True), **options)


outbox: Final = Table(
    "outbox",
    SYSTEM,
    Column("seq", BigInteger, Identity(always=True), primary_key=True),
    Column("id", Uuid(as_uuid=False), nullable=False),
    columns.tenant_id(),
    Column("subject", Text, nullable=False),
    Column("key", Text, nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("headers", JSONB, nullable=False),
    Column("payload", LargeBinary, nullable=False),
    _moment("created_at", nullable=False),
    _moment("published_at"),
    Index("outbox_pending", "seq", postgresql_where=text("published_at IS NULL")),
    Index("outbox_published", "published_at", postgresql_where=text("published_at IS NOT NULL")),
)

inbox: Final = global_table(
    "inbox",
    SYSTEM,
    Column("consumer", Text(collation="C"), nullable=False),
    Column("message_id", Text(collation="C"), nullable=False),
    _moment("received_at", nullable=False, server_default=func.now()),
    PrimaryKeyConstraint("consumer", "message_id"),
    Index("inbox_received", "received_at"),
)

idempotency: Final = tenant_table(
    "idempotency",
    SYSTEM,
    Column("principal", Text(collation="C"), nullable=False),
    Column("method", Text(collation="C"), nullable=False),
    Column("key", Text(collation="C"), nullable=False),
    Column("request_hash", LargeBinary, nullable=False),
    Column("response", LargeBinary, nullable=False),
    _moment("expires_at", nullable=False),
    PrimaryKeyConstraint("tenant_id", "principal", "method", "key"),
    Index("idempotency_expires", "expires_at"),
)

audit_log: Final = tenant_table(
    "audit_log",
    SYSTEM,
    Column("id", Uuid(as_uuid=False), nullable=False),
    _moment("at", nullable=False),
    Column("actor_kind", Text, nullable=False),
    Column("actor_id", Text(collation="C"), nullable=False),
    Column("session_id", Text, nullable=False),
    Column("method", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("resource_id", Text(collation="C"), nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("changed", ARRAY(Text), nullable=False),
    Column("before", JSONB),
    Column("after", JSONB),
    Column("request_id", Text, nullable=False),
    Column("client_ip", Text, nullable=False),
    Column("user_agent", Text, nullable=False),
    Index("audit_log_resource", "tenant_id", "resource_id", "version"),
    Index("audit_log_at", "tenant_id", "at"),
)


def create(op: Operations) -> None:
    """Create the tables with their rights; the first statement of a service's first migration.

    The runtime role may add to the outbox and the audit log and never change them; the system role relays and purges.
    """
    SYSTEM.create_all(op.get_bind())
    tenancy.protect(op, "outbox", grants="INSERT")
    tenancy.protect(op, "idempotency", "audit_log", grants="SELECT, INSERT")
    tenancy.grant(op, "inbox", grants="SELECT, INSERT")
    tenancy.open_to_system(op, "outbox", "SELECT, UPDATE, DELETE")
    tenancy.open_to_system(op, "idempotency", "SELECT, DELETE")
    op.execute(f"GRANT SELECT, DELETE ON inbox TO {tenancy.role(op, 'system')}")
    job_tables.create(op)


def drop(op: Operations) -> None:
    """Drop them again; the last statement of the first migration's downgrade."""
    job_tables.drop(op)
    SYSTEM.drop_all(op.get_bind())
