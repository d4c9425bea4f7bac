"""Users and passwords: class global. A person has one row, whatever organisations they belong to."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final, NamedTuple

from sqlalchemy import (
    ARRAY,
    Column,
    DateTime,
    ForeignKeyConstraint,
    PrimaryKeyConstraint,
    Text,
    UniqueConstraint,
    Uuid,
    any_,
    bindparam,
    select,
)
from sqlalchemy.dialects.postgresql import insert as upsert

from chassis import etags
from chassis.database import Query, Row, UnitOfWork, global_table
from chassis.database.columns import identifier, moment, resource_columns
from chassis.mapping import Mapping
from chassis.records import Store
from kith.identity.v1.me_pb2 import User
from services.identity.store import METADATA

users: Final = global_table(
    "users",
    METADATA,
    *resource_columns(),
    Column("email", Text, nullable=False),
    Column("email_key", Text(collation="C"), nullable=False),
    Column("name", Text, nullable=False),
    Column("locale", Text, nullable=False),
    Column("time_zone", Text, nullable=False),
    Column("email_verify_time", DateTime(timezone=True)),
    PrimaryKeyConstraint("id"),
    UniqueConstraint("email_key", name="users_email_key"),
)
passwords: Final = global_table(
    "passwords",
    METADATA,
    identifier("user_id"),
    Column("hash", Text, nullable=False),
    moment("update_time"),
    PrimaryKeyConstraint("user_id"),
    ForeignKeyConstraint(["user_id"], ["users.id"], name="passwords_user_id"),
)


class Credential(NamedTuple):
    """What signing in is checked against, and since when it has been the user's password, however it was hashed."""

    user_id: str
    hash: str
    since: datetime


class Address(NamedTuple):
    """Where a user is mailed to, and in which language. `key` is the one spelling that addresses are compared in."""

    email: str
    key: str
    locale: str


_MAPPING: Final = Mapping(User, users)
_INSERT: Final = Query(
    upsert(users)
    .values({name: bindparam(name) for name in (*_MAPPING.columns, "email_key") if name != "email_verify_time"})
    .on_conflict_do_nothing(index_elements=["email_key"])
    .returning(users.c.id)
)
STORE: Final = Store(_MAPPING, users)
_BY_IDS: Final = Query(
    select(*(users.c[name] for name in _MAPPING.columns)).where(users.c.id == any_(bindparam("ids", type_=ARRAY(Uuid(as_uuid=False)))))
)
_CREDENTIAL: Final = Query(
    select(passwords).join(users, passwords.c.user_id == users.c.id).where(users.c.email_key == bindparam("email_key"))
)
_CREDENTIAL_OF: Final = Query(select(passwords).where(passwords.c.user_id == bindparam("for_id")))
_INSERT_PASSWORD: Final = Query(passwords.insert().values({name: bindparam(name) for name in ("user_id", "hash", "update_time")}))
_HASH_ANEW: Final = Query(
    passwords.update()
    .values(hash=bindparam("new_hash"))
    .where(passwords.c.user_id == bindparam("id"), passwords.c.hash == bindparam("old_hash"))
)
_STILL_HAS: Final = Query(
    select(passwords.c.user_id)
    .where(passwords.c.user_id == bindparam("for_id"), passwords.c.update_time == bindparam("since"))
    .with_for_update()
)
_SET_PASSWORD: Final = Query(
    passwords.update().values(hash=bindparam("new_hash"), update_time=bindparam("now")).where(passwords.c.user_id == bindparam("for_id"))
)
# Whoever signs in at this moment refers to the user: they need it to stay, not to stay as it is.
_LOCK_UNVERIFIED: Final = Query(
    select(users.c.email, users.c.email_key, users.c.locale)
    .where(users.c.id == bindparam("for_id"), users.c.email_verify_time.is_(None))
    .with_for_update(key_share=True)
)
_LOCK_ADDRESS: Final = Query(
    select(users.c.email, users.c.email_key, users.c.locale).where(users.c.id == bindparam("for_id")).with_for_update(key_share=True)
)
_VERIFY_EMAIL: Final = Query(
    users.update()
    .values(email_verify_time=bindparam("now"), update_time=bindparam("now"), version=users.c.version + 1)
    .where(users.c.id == bindparam("for_id"), users.c.email_key == bindparam("for_key"))
)


async def insert(work: UnitOfWork, user: User, *, email_key: str, password_hash: str) -> bool:
    """Keep a new user with a password; say False if the address is taken."""
    values = _MAPPING.values(user)
    if await work.first(_INSERT, **values, version=etags.version(user.etag), email_key=email_key) is None:
        return False
    await work.send(_INSERT_PASSWORD, user_id=user.id, hash=password_hash, update_time=work.now)
    return True


async def by_ids(work: UnitOfWork, user_ids: Sequence[str]) -> dict[str, User]:
    """Return users by their ids."""
    return {row["id"]: _MAPPING.message(row) for row in await work.all(_BY_IDS, ids=user_ids)}


async def credential(work: UnitOfWork, email_key: str) -> Credential | None:
    """Return the user of an address and their password's hash."""
    return _credential(await work.first(_CREDENTIAL, email_key=email_key))


async def credential_of(work: UnitOfWork, user_id: str) -> Credential | None:
    """Return a user's password's hash."""
    return _credential(await work.first(_CREDENTIAL_OF, for_id=user_id))


async def replace_hash(work: UnitOfWork, user_id: str, old: str, new: str) -> None:
    """Keep another hash of the same password, unless the password changed meanwhile."""
    await work.run(_HASH_ANEW, id=user_id, old_hash=old, new_hash=new)


async def still_has(work: UnitOfWork, credential: Credential) -> bool:
    """Say whether the password is still the user's, and keep it so until the unit of work ends."""
    return await work.first(_STILL_HAS, for_id=credential.user_id, since=credential.since) is not None


async def set_password(work: UnitOfWork, user_id: str, password_hash: str) -> None:
    """Keep another password. Whoever signs in with the former one at this moment was first, or is refused."""
    await work.run(_SET_PASSWORD, for_id=user_id, new_hash=password_hash, now=work.now)


async def lock_unverified(work: UnitOfWork, user_id: str) -> Address | None:
    """Return the address of a user who has not verified it yet, and let nobody else change the user until the unit of work ends."""
    row = await work.first(_LOCK_UNVERIFIED, for_id=user_id)
    return Address(row["email"], row["email_key"], row["locale"]) if row else None


async def lock_address(work: UnitOfWork, user_id: str) -> Address | None:
    """Return the address of a user, and let nobody else change the user until the unit of work ends."""
    row = await work.first(_LOCK_ADDRESS, for_id=user_id)
    return Address(row["email"], row["email_key"], row["locale"]) if row else None


async def verify_email(work: UnitOfWork, user_id: str, email_key: str) -> bool:
    """Write down that an address is the user's; say False if they have another one by now. Nothing else writes that column."""
    return await work.run(_VERIFY_EMAIL, for_id=user_id, for_key=email_key, now=work.now) == 1


def _credential(row: Row | None) -> Credential | None:
    return Credential(row["user_id"], row["hash"], row["update_time"]) if row else None
