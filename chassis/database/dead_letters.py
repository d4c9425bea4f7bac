"""The table of dead letters: events that a consumer could not handle, as they came, until somebody mends the cause or discards them."""

from typing import Final

from sqlalchemy import BigInteger, Column, DateTime, Index, Integer, LargeBinary, MetaData, PrimaryKeyConstraint, Text, text
from sqlalchemy.dialects.postgresql import JSONB

from chassis.database import tenancy
from chassis.database.tables import tenant_table
from chassis.database.tenancy import Operations

LETTERS: Final = MetaData()

dead_letters: Final = tenant_table(
    "dead_letters",
    LETTERS,
    Column("consumer", Text(collation="C"), nullable=False),
    Column("message_id", Text(collation="C"), nullable=False),
    Column("stream", Text(collation="C"), nullable=False),
    Column("sequence", BigInteger, nullable=False),
    Column("type", Text(collation="C"), nullable=False),
    Column("key", Text(collation="C"), nullable=False),
    Column("reason", Text, nullable=False),
    Column("tries", Integer, nullable=False),
    Column("first_at", DateTime(timezone=True), nullable=False),
    Column("last_at", DateTime(timezone=True), nullable=False),
    Column("headers", JSONB, nullable=False),
    Column("payload", LargeBinary, nullable=False),
    Column("replay_at", DateTime(timezone=True)),
    PrimaryKeyConstraint("tenant_id", "consumer", "message_id"),
    Index("dead_letters_marked", "stream", "sequence", postgresql_where=text("replay_at IS NOT NULL")),
)


def create(op: Operations) -> None:
    """Create the table with its rights: the runtime role buries and never looks, the system role mends or discards."""
    LETTERS.create_all(op.get_bind())
    tenancy.protect(op, "dead_letters", grants="INSERT")
    tenancy.open_to_system(op, "dead_letters", "SELECT, UPDATE, DELETE")


def drop(op: Operations) -> None:
    """Drop it again, letters included."""
    LETTERS.drop_all(op.get_bind())
