"""The table of mails that are to be sent: written in the transaction that a mail tells of, read by the system role alone."""

from typing import Final

from sqlalchemy import BigInteger, Column, Index, LargeBinary, MetaData, PrimaryKeyConstraint

from chassis.database import global_table, tenancy
from chassis.database.columns import identifier, moment, word
from chassis.database.tenancy import Operations

MAILS: Final = MetaData()

mails: Final = global_table(
    "mails",
    MAILS,
    identifier("id"),
    word("kind"),
    Column("sealed", LargeBinary, nullable=False),
    Column("tries", BigInteger, nullable=False),
    moment("create_time"),
    moment("due_time"),
    moment("expire_time"),
    PrimaryKeyConstraint("id"),
    Index("mails_due_time", "due_time"),
)


def create(op: Operations) -> None:
    """Create the table with its rights: the runtime role adds and never looks, the system role sends and deletes."""
    MAILS.create_all(op.get_bind())
    tenancy.grant(op, "mails", grants="INSERT")
    op.execute(f"GRANT SELECT, UPDATE, DELETE ON mails TO {tenancy.role(op, 'system')}")


def drop(op: Operations) -> None:
    """Drop it again, with the mails that were not sent."""
    MAILS.drop_all(op.get_bind())
