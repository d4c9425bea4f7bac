"""Counted attempts: class global, since they are made before anybody is known."""

from collections.abc import Mapping
from datetime import datetime
from typing import Final

from sqlalchemy import ARRAY, BigInteger, Column, DateTime, Index, PrimaryKeyConstraint, Text, bindparam, func, literal, select
from sqlalchemy.dialects.postgresql import insert as upsert

from chassis.database import Query, UnitOfWork, global_table
from services.identity.attempts.rules import Count
from services.identity.store import METADATA, moment

attempts: Final = global_table(
    "attempts",
    METADATA,
    Column("key", Text(collation="C"), nullable=False),
    Column("failures", BigInteger, nullable=False),
    moment("last_time"),
    PrimaryKeyConstraint("key"),
    Index("attempts_last_time", "last_time"),
)
_KEY: Final = func.unnest(bindparam("keys", type_=ARRAY(Text))).column_valued("wanted")
_ROWS: Final = upsert(attempts).from_select(
    ["key", "failures", "last_time"],
    select(_KEY, literal(0, BigInteger), bindparam("now", type_=DateTime(timezone=True))).order_by(_KEY),
)
# An update that changes nothing locks the row and returns it, whether it was there or not.
_LOCK: Final = Query(_ROWS.on_conflict_do_update(index_elements=["key"], set_={"failures": attempts.c.failures}).returning(*attempts.c))
_SET: Final = Query(
    attempts.update().values(failures=bindparam("count"), last_time=bindparam("time")).where(attempts.c.key == bindparam("for_key"))
)
_FORGIVE: Final = Query(
    attempts.update().values(failures=func.greatest(attempts.c.failures - 1, 0)).where(attempts.c.key == bindparam("for_key"))
)
_FORGET: Final = Query(attempts.delete().where(attempts.c.key == bindparam("for_key")))
_PURGE: Final = Query(attempts.delete().where(attempts.c.last_time < bindparam("before")))


async def lock(work: UnitOfWork, *keys: str) -> Mapping[str, Count]:
    """Return the counts under some keys, 0 for a new one, locked in one order so that no two attempts wait for each other."""
    rows = await work.all(_LOCK, keys=sorted(keys), now=work.now)
    return {row["key"]: Count(row["failures"], row["last_time"]) for row in rows}


async def count(work: UnitOfWork, key: str, failures: int) -> None:
    """Keep the new count of a locked key."""
    await work.run(_SET, for_key=key, count=failures, time=work.now)


async def forgive_one(work: UnitOfWork, key: str) -> None:
    """Take back one attempt, which succeeded."""
    await work.run(_FORGIVE, for_key=key)


async def forget(work: UnitOfWork, key: str) -> None:
    """Forget all attempts under a key."""
    await work.run(_FORGET, for_key=key)


async def purge(work: UnitOfWork, before: datetime) -> int:
    """Delete what no pace looks at any more; return how many."""
    return await work.run(_PURGE, before=before)
