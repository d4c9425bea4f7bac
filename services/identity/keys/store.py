"""Keys: class global. Secrets lie here sealed under the master key; what verifies a signature lies beside them in clear."""

from typing import Any, Final, NamedTuple

import orjson
from sqlalchemy import CheckConstraint, Column, Index, LargeBinary, PrimaryKeyConstraint, Text, bindparam, func, select, text
from sqlalchemy.dialects.postgresql import JSONB

from chassis.database import Query, Row, UnitOfWork, global_table
from chassis.database.columns import moment
from services.identity.keys.rules import Key, State, Use
from services.identity.store import METADATA

keys: Final = global_table(
    "keys",
    METADATA,
    Column("kid", Text(collation="C"), nullable=False),
    Column("use", Text(collation="C"), CheckConstraint("use IN ('access', 'refresh', 'seal')", name="keys_use"), nullable=False),
    Column("state", Text(collation="C"), CheckConstraint("state IN ('next', 'active', 'retiring')", name="keys_state"), nullable=False),
    moment("create_time"),
    moment("state_time"),
    Column("public", JSONB),
    Column("sealed", LargeBinary, nullable=False),
    PrimaryKeyConstraint("kid"),
    Index("keys_one_next", "use", unique=True, postgresql_where=text("state = 'next'")),
    Index("keys_one_active", "use", unique=True, postgresql_where=text("state = 'active'")),
)


class Stored(NamedTuple):
    """A key with its sealed secret, and its public half if it signs."""

    key: Key
    public: dict[str, Any] | None
    sealed: bytes


_COLUMNS: Final = ("kid", "use", "state", "create_time", "state_time", "public", "sealed")
_LOCK: Final = Query(select(func.pg_advisory_xact_lock(func.hashtextextended("identity.keys", 0))))
_LIST: Final = Query(select(keys).order_by(keys.c.create_time, keys.c.kid))
_INSERT: Final = Query(keys.insert().values({name: bindparam(name) for name in _COLUMNS}))
_MOVE: Final = Query(
    keys.update().values(state=bindparam("new_state"), state_time=bindparam("now")).where(keys.c.kid == bindparam("key_id"))
)
_DELETE: Final = Query(keys.delete().where(keys.c.kid == bindparam("key_id")))
_RESEAL: Final = Query(keys.update().values(sealed=bindparam("new_sealed")).where(keys.c.kid == bindparam("key_id")))


async def lock(work: UnitOfWork) -> None:
    """Wait until no other process changes the keys; held to the end of the unit of work."""
    await work.first(_LOCK)


async def everything(work: UnitOfWork) -> list[Stored]:
    """Return all keys, the oldest first."""
    return [_stored(row) for row in await work.all(_LIST)]


async def insert(work: UnitOfWork, stored: Stored) -> None:
    """Keep a new key."""
    key, public, sealed = stored
    values = {"kid": key.kid, "use": key.use, "state": key.state, "create_time": key.state_time, "state_time": key.state_time}
    await work.run(_INSERT, **values, public=orjson.dumps(public).decode() if public else None, sealed=sealed)


async def move(work: UnitOfWork, kid: str, state: State) -> None:
    """Bring a key into another state."""
    await work.run(_MOVE, key_id=kid, new_state=state, now=work.now)


async def delete(work: UnitOfWork, kid: str) -> None:
    """Delete a key and its secret."""
    await work.run(_DELETE, key_id=kid)


async def reseal(work: UnitOfWork, kid: str, sealed: bytes) -> None:
    """Keep the same secret, wrapped under another master key."""
    await work.run(_RESEAL, key_id=kid, new_sealed=sealed)


def _stored(row: Row) -> Stored:
    key = Key(kid=row["kid"], use=Use(row["use"]), state=State(row["state"]), state_time=row["state_time"])
    return Stored(key, row["public"], bytes(row["sealed"]))
