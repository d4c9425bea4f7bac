"""Sessions: class global, since a refresh token is all that is known when one is looked up. A row holds no token."""

from datetime import datetime
from typing import Final, NamedTuple
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    Column,
    DateTime,
    ForeignKeyConstraint,
    Index,
    LargeBinary,
    PrimaryKeyConstraint,
    Text,
    UniqueConstraint,
    bindparam,
    func,
    select,
)

from chassis.database import Query, UnitOfWork, global_table
from chassis.database.columns import identifier, moment, word
from services.identity.sessions.refresh_tokens import RefreshToken
from services.identity.sessions.rules import Family
from services.identity.store import METADATA

sessions: Final = global_table(
    "sessions",
    METADATA,
    identifier("id"),
    identifier("family"),
    identifier("user_id"),
    identifier("home"),  # the tenant that its tokens are for; no tenant_id, since the row is not that tenant's
    word("key_id"),
    Column("generation", BigInteger, nullable=False),
    Column("secret_hash", LargeBinary, nullable=False),
    Column("replays", BigInteger, nullable=False),
    moment("create_time"),
    moment("rotate_time"),
    moment("idle_expire_time"),
    moment("expire_time"),
    Column("end_time", DateTime(timezone=True)),
    Column("network", Text(collation="C"), nullable=False),
    Column("client_ip", Text, nullable=False),
    Column("user_agent", Text, nullable=False),
    PrimaryKeyConstraint("id"),
    UniqueConstraint("family", name="sessions_family"),
    ForeignKeyConstraint(["user_id"], ["users.id"], name="sessions_user_id"),
    Index("sessions_user", "user_id", "network"),
    Index("sessions_expire_time", "expire_time"),
)


class Home(NamedTuple):
    """Where a session belongs, and the key that its tokens are made with."""

    tenant_id: str
    key_id: str


class Live(NamedTuple):
    """What a session is apart from its tokens."""

    id: str
    user_id: str
    create_time: datetime
    idle_expire_time: datetime


class Locked(NamedTuple):
    """A session that nobody else changes until the unit of work ends. `now` is the time after the lock was waited for."""

    live: Live
    key_id: str
    family: Family
    user_agent: str
    now: datetime


_COLUMNS: Final = tuple(column.name for column in sessions.c if column.name != "end_time")
_BY_FAMILY: Final = sessions.c.family == bindparam("for_family")
_BY_ID: Final = sessions.c.id == bindparam("for_id")
_INSERT: Final = Query(sessions.insert().values({name: bindparam(name) for name in _COLUMNS}))
_HOME: Final = Query(select(sessions.c.home, sessions.c.key_id).where(_BY_FAMILY))
_LOCK: Final = Query(select(sessions).where(_BY_FAMILY).with_for_update())
# The start of the transaction is before the wait for the lock (TracecatHQ/tracecat#2990), so the clock is asked after it.
_CLOCK: Final = Query(select(func.clock_timestamp().label("now")))
_ROTATE: Final = Query(
    sessions.update()
    .values(
        generation=bindparam("new_generation"),
        secret_hash=bindparam("new_hash"),
        rotate_time=bindparam("now"),
        replays=0,
        idle_expire_time=bindparam("idle_end"),
    )
    .where(_BY_ID)
)
_REPLAY: Final = Query(sessions.update().values(replays=sessions.c.replays + 1).where(_BY_ID))
_END: Final = Query(sessions.update().values(end_time=bindparam("now")).where(_BY_ID))
_END_ALL: Final = Query(
    sessions.update()
    .values(end_time=bindparam("now"))
    .where(
        sessions.c.user_id == bindparam("for_user"),
        sessions.c.end_time.is_(None),
        sessions.c.idle_expire_time > bindparam("after"),
        sessions.c.id != bindparam("but"),
    )
    .returning(sessions.c.id)
)
_FAMILIAR: Final = Query(
    select(sessions.c.id).where(sessions.c.user_id == bindparam("for_user"), sessions.c.network == bindparam("from_network")).limit(1)
)
_PURGE: Final = Query(sessions.delete().where(sessions.c.expire_time < bindparam("before")))


async def insert(work: UnitOfWork, live: Live, token: RefreshToken, *, key_id: str, expire_time: datetime, network: str) -> None:
    """Keep a new session of the unit of work's tenant."""
    await work.run(
        _INSERT,
        **live._asdict(),
        family=_uuid(token),
        home=work.tenant_id,
        key_id=key_id,
        generation=token.generation,
        secret_hash=token.secret_hash(),
        replays=0,
        rotate_time=live.create_time,
        expire_time=expire_time,
        network=network,
        client_ip=work.request.client_ip,
        user_agent=work.request.user_agent,
    )


async def home(work: UnitOfWork, token: RefreshToken) -> Home | None:
    """Return where the session of a token belongs."""
    row = await work.first(_HOME, for_family=_uuid(token))
    return Home(row["home"], row["key_id"]) if row else None


async def lock(work: UnitOfWork, token: RefreshToken) -> Locked | None:
    """Lock the session of a token and return it."""
    row = await work.first(_LOCK, for_family=_uuid(token))
    clock = await work.first(_CLOCK)
    if row is None or clock is None:
        return None
    family = Family(
        generation=row["generation"],
        secret_hash=bytes(row["secret_hash"]),
        rotate_time=row["rotate_time"],
        replays=row["replays"],
        idle_expire_time=row["idle_expire_time"],
        expire_time=row["expire_time"],
        ended=row["end_time"] is not None,
    )
    live = Live(row["id"], row["user_id"], row["create_time"], row["idle_expire_time"])
    return Locked(live, row["key_id"], family, row["user_agent"], clock["now"])


async def rotate(work: UnitOfWork, live: Live, token: RefreshToken, *, now: datetime) -> None:
    """Make a token the newest of its session."""
    await work.run(
        _ROTATE,
        for_id=live.id,
        new_generation=token.generation,
        new_hash=token.secret_hash(),
        now=now,
        idle_end=live.idle_expire_time,
    )


async def replay(work: UnitOfWork, session_id: str) -> None:
    """Count that the newest token was given out once more."""
    await work.run(_REPLAY, for_id=session_id)


async def end(work: UnitOfWork, session_id: str) -> None:
    """End a session."""
    await work.run(_END, for_id=session_id, now=work.now)


async def end_all(work: UnitOfWork, user_id: str, *, after: datetime, but: str) -> list[str]:
    """End a user's sessions but one, those apart that could be renewed until some earlier time only; return their ids."""
    return [row["id"] for row in await work.all(_END_ALL, for_user=user_id, now=work.now, after=after, but=but)]


async def familiar(work: UnitOfWork, user_id: str, network: str) -> bool:
    """Say whether the user signed in from a network before."""
    return await work.first(_FAMILIAR, for_user=user_id, from_network=network) is not None


async def purge(work: UnitOfWork, before: datetime) -> int:
    """Delete sessions that ended for good before a time; return how many."""
    return await work.run(_PURGE, before=before)


def _uuid(token: RefreshToken) -> str:
    return str(UUID(bytes=token.family))
