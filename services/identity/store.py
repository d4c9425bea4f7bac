"""What the tables of identity share; each is declared in the store of its noun."""

from datetime import datetime
from typing import Any, Final

from sqlalchemy import BigInteger, Column, DateTime, MetaData, Uuid

from chassis.database import Row

METADATA: Final = MetaData()


def identifier(name: str, **options: Any) -> Column[Any]:
    """Return a column for an id."""
    return Column(name, Uuid(as_uuid=False), nullable=False, **options)


def moment(name: str, *, nullable: bool = False) -> Column[Any]:
    """Return a column for a time."""
    return Column(name, DateTime(timezone=True), nullable=nullable)


def resource() -> tuple[Column[Any], ...]:
    """Return the columns that every resource has: id, version (its etag), times."""
    return identifier("id"), Column("version", BigInteger, nullable=False), moment("create_time"), moment("update_time")


def first_version(id_: str, now: datetime) -> dict[str, Any]:
    """Return the values of those columns in a new row."""
    return {"id": id_, "version": 1, "create_time": now, "update_time": now}


def found(row: Row | None) -> Row:
    """Return the row of a statement that cannot go without one."""
    if row is None:
        raise LookupError("the database kept a row and did not return it")
    return row
