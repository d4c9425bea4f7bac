"""Verifications under way: class global, since the token is all that is known when one is looked up. A row holds no token."""

from datetime import datetime
from typing import Final, NamedTuple

from sqlalchemy import Column, ForeignKeyConstraint, Index, LargeBinary, PrimaryKeyConstraint, bindparam, func, select

from chassis.database import Query, UnitOfWork, global_table
from chassis.database.columns import identifier, moment, word
from services.identity.store import METADATA

email_verifications: Final = global_table(
    "email_verifications",
    METADATA,
    Column("token_hash", LargeBinary, nullable=False),
    identifier("user_id"),
    word("email_key"),
    moment("expire_time"),
    PrimaryKeyConstraint("token_hash"),
    ForeignKeyConstraint(["user_id"], ["users.id"], name="email_verifications_user_id"),
    Index("email_verifications_user", "user_id"),
    Index("email_verifications_expire_time", "expire_time"),
)


class Pending(NamedTuple):
    """A verification under way: of whom, and of which address."""

    user_id: str
    email_key: str


_OF_USER: Final = email_verifications.c.user_id == bindparam("for_user")
_LIVE: Final = email_verifications.c.expire_time > bindparam("now")
_BY_TOKEN: Final = email_verifications.c.token_hash == bindparam("for_hash")
_INSERT: Final = Query(email_verifications.insert().values({name: bindparam(name) for name in email_verifications.c.keys()}))  # noqa: SIM118 - no dict
_FIND: Final = Query(select(email_verifications.c.user_id).where(_BY_TOKEN, _LIVE))
_TAKE: Final = Query(
    email_verifications.delete().where(_BY_TOKEN, _LIVE).returning(email_verifications.c.user_id, email_verifications.c.email_key)
)
_COUNT: Final = Query(select(func.count().label("count")).select_from(email_verifications).where(_OF_USER, _LIVE))
_FORGET: Final = Query(email_verifications.delete().where(_OF_USER))
_PURGE: Final = Query(email_verifications.delete().where(email_verifications.c.expire_time <= bindparam("now")))


async def insert(work: UnitOfWork, pending: Pending, *, token_hash: bytes, expire_time: datetime) -> None:
    """Keep that a token was mailed."""
    await work.send(_INSERT, **pending._asdict(), token_hash=token_hash, expire_time=expire_time)


async def user_of(work: UnitOfWork, token_hash: bytes) -> str | None:
    """Return whose address a token verifies."""
    row = await work.first(_FIND, for_hash=token_hash, now=work.now)
    return row["user_id"] if row else None


async def take(work: UnitOfWork, token_hash: bytes) -> Pending | None:
    """Return what a token verifies, and forget it: of two who come with one token, one gets it."""
    rows = await work.all(_TAKE, for_hash=token_hash, now=work.now)
    return Pending(rows[0]["user_id"], rows[0]["email_key"]) if rows else None


async def count(work: UnitOfWork, user_id: str) -> int:
    """Return how many tokens of a user are good."""
    (row,) = await work.all(_COUNT, for_user=user_id, now=work.now)
    found: int = row["count"]
    return found


async def forget(work: UnitOfWork, user_id: str) -> None:
    """Forget all tokens of a user."""
    await work.send(_FORGET, for_user=user_id)


async def purge(work: UnitOfWork) -> int:
    """Delete the tokens that have ended; return how many."""
    return await work.run(_PURGE, now=work.now)
