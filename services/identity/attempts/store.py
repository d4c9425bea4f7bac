"""Counted attempts: class global, since they are made before anybody is known."""

from datetime import datetime
from typing import Final

from sqlalchemy import BigInteger, Column, Index, PrimaryKeyConstraint, Text, bindparam, select
from sqlalchemy.dialects.postgresql import insert as upsert

from chassis.database import Query, UnitOfWork, global_table
from chassis.database.columns import moment
from services.identity.attempts.rules import Count
from services.identity.store import METADATA

attempts: Final = global_table(
    "attempts",
    METADATA,
    Column("key", Text(collation="C"), nullable=False),
    Column("failures", BigInteger, nullable=False),
    moment("last_time"),
    PrimaryKeyConstraint("key"),
    Index("attempts_last_time", "last_time"),
)
_BY_KEY: Final = attempts.c.key == bindparam("for_key")
_NEW: Final = upsert(attempts).values(key=bindparam("for_key"), failures=0, last_time=bindparam("now"))
# An update that changes nothing locks the row and returns it, whether it was there or not.
_LOCK: Final = Query(_NEW.on_conflict_do_update(index_elements=["key"], set_={"failures": attempts.c.failures}).returning(*attempts.c))
_READ: Final = Query(select(attempts).where(_BY_KEY))
_SET: Final = Query(attempts.update().values(failures=bindparam("count"), last_time=bindparam("time")).where(_BY_KEY))
_FORGET: Final = Query(attempts.delete().where(_BY_KEY))
_PURGE: Final = Query(attempts.delete().where(attempts.c.last_time < bindparam("before")))


async def lock(work: UnitOfWork, key: str) -> Count:
    """Return the count under a key, 0 for a new one, and let nobody else change it until the unit of work ends."""
    (row,) = await work.all(_LOCK, for_key=key, now=work.now)
    return Count(row["failures"], row["last_time"])


async def read(work: UnitOfWork, key: str) -> Count | None:
    """Return the count under a key."""
    row = await work.first(_READ, for_key=key)
    return Count(row["failures"], row["last_time"]) if row else None


async def count(work: UnitOfWork, key: str, failures: int) -> None:
    """Keep the new count of a locked key."""
    await work.run(_SET, for_key=key, count=failures, time=work.now)


async def forget(work: UnitOfWork, key: str) -> None:
    """Forget all attempts under a key."""
    await work.run(_FORGET, for_key=key)


async def purge(work: UnitOfWork, before: datetime) -> int:
    """Delete what no pace looks at any more; return how many."""
    return await work.run(_PURGE, before=before)
