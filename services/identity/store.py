"""What the tables of identity share; each is declared in the store of its noun."""

from datetime import datetime
from typing import Any, Final

from sqlalchemy import MetaData

from chassis.database import Row

METADATA: Final = MetaData()


def first_version(id_: str, now: datetime) -> dict[str, Any]:
    """Return the values of a resource's own columns in a new row."""
    return {"id": id_, "version": 1, "create_time": now, "update_time": now}


def found(row: Row | None) -> Row:
    """Return the row of a statement that cannot go without one."""
    if row is None:
        raise LookupError("the database kept a row and did not return it")
    return row
