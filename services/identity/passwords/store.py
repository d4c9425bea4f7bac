"""Resets of passwords: class global, since the token is all that is known when one is looked up. A row holds no token.

Rows stay for a day, good or not: they are the mails that an account got.
"""

from datetime import datetime
from typing import Final

from sqlalchemy import (
    Boolean,
    Column,
    DateTime,
    ForeignKeyConstraint,
    Index,
    LargeBinary,
    PrimaryKeyConstraint,
    bindparam,
    func,
    select,
    true,
)

from chassis.database import Query, UnitOfWork, global_table
from chassis.database.columns import identifier, moment, word
from services.identity.store import METADATA
from services.identity.users.store import users

password_resets: Final = global_table(
    "password_resets",
    METADATA,
    Column("token_hash", LargeBinary, nullable=False),
    identifier("user_id"),
    word("email_key"),
    moment("create_time"),
    moment("expire_time"),
    Column("good", Boolean, nullable=False),
    PrimaryKeyConstraint("token_hash"),
    ForeignKeyConstraint(["user_id"], ["users.id"], name="password_resets_user_id"),
    Index("password_resets_user", "user_id"),
    Index("password_resets_create_time", "create_time"),
)

_OF_USER: Final = password_resets.c.user_id == bindparam("for_user")
_BY_TOKEN: Final = password_resets.c.token_hash == bindparam("for_hash")
# A flag beside the time: of two who take a token at once the second one's clock may stand before the first one's.
_LIVE: Final = password_resets.c.good & (password_resets.c.expire_time > bindparam("now"))
_INSERT: Final = Query(
    password_resets.insert().from_select(
        ["token_hash", "user_id", "email_key", "create_time", "expire_time", "good"],
        select(
            bindparam("token_hash", type_=LargeBinary()),
            users.c.id,
            users.c.email_key,
            bindparam("now", type_=DateTime(timezone=True)),
            bindparam("end", type_=DateTime(timezone=True)),
            true(),
        ).where(users.c.id == bindparam("for_user")),
    )
)
_COUNT: Final = Query(
    select(func.count().label("count")).select_from(password_resets).where(_OF_USER, password_resets.c.create_time > bindparam("since"))
)
_END: Final = Query(password_resets.update().values(good=False).where(_OF_USER, password_resets.c.good))
_FIND: Final = Query(select(password_resets.c.user_id).where(_BY_TOKEN, _LIVE))
_TAKE: Final = Query(
    password_resets.update().values(good=False).where(_BY_TOKEN, _LIVE, password_resets.c.email_key == bindparam("for_key"))
)
_PURGE: Final = Query(password_resets.delete().where(password_resets.c.create_time <= bindparam("before")))


async def insert(work: UnitOfWork, user_id: str, *, token_hash: bytes, expire_time: datetime) -> None:
    """Keep that a token was mailed to the address that the user has, if there is such a user."""
    await work.send(_INSERT, for_user=user_id, token_hash=token_hash, now=work.now, end=expire_time)


async def count(work: UnitOfWork, user_id: str, *, since: datetime) -> int:
    """Return how many tokens were mailed to a user."""
    (row,) = await work.all(_COUNT, for_user=user_id, since=since)
    found: int = row["count"]
    return found


async def end(work: UnitOfWork, user_id: str) -> None:
    """Make all tokens of a user worthless."""
    await work.send(_END, for_user=user_id)


async def user_of(work: UnitOfWork, token_hash: bytes) -> str | None:
    """Return whose password a token resets."""
    row = await work.first(_FIND, for_hash=token_hash, now=work.now)
    return row["user_id"] if row else None


async def take(work: UnitOfWork, token_hash: bytes, email_key: str) -> bool:
    """Make a token worthless that was good, and mailed to this address: of two who come with one token, one is told so."""
    return await work.run(_TAKE, for_hash=token_hash, for_key=email_key, now=work.now) == 1


async def purge(work: UnitOfWork, before: datetime) -> int:
    """Forget the mails up to a time; return how many."""
    return await work.run(_PURGE, before=before)
