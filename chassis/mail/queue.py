"""The queue of mails: how one is put into it, taken out for a try, and what becomes of it then."""

from datetime import datetime
from typing import Any, Final, NamedTuple

from sqlalchemy import DateTime, Double, bindparam, func, select

from chassis.database import Query
from chassis.database.pipeline import Pipeline
from chassis.mail.table import mails

_BY_ID: Final = mails.c.id == bindparam("for_id")
_NOW = bindparam("now", type_=DateTime(timezone=True))
_NEXT = (
    select(mails.c.id).where(mails.c.due_time <= _NOW).order_by(mails.c.due_time).limit(1).with_for_update(skip_locked=True)
).scalar_subquery()

INSERT: Final = Query(mails.insert().values({name: bindparam(name) for name in mails.c.keys()}))  # noqa: SIM118 - no dict
_TAKE: Final = Query(
    mails.update().values(tries=mails.c.tries + 1, due_time=bindparam("lease_end")).where(mails.c.id == _NEXT).returning(mails)
)
_PUT_OFF: Final = Query(mails.update().values(due_time=bindparam("new_time")).where(_BY_ID))
_DELETE: Final = Query(mails.delete().where(_BY_ID))
_AGE: Final = Query(
    select(func.coalesce(func.extract("epoch", _NOW - func.min(mails.c.create_time)), 0).cast(Double()).label("seconds")),
)


def purpose(mail_id: str) -> str:
    """Return what is authenticated with a sealed mail, so that no row can be given another one's content."""
    return f"mail|{mail_id}|v1"


class Taken(NamedTuple):
    """A mail that this process has for a while. `tries` counts the one that begins."""

    id: str
    kind: str
    sealed: bytes
    tries: int
    create_time: datetime
    expire_time: datetime


class Queue:
    """The queue as who sends sees it, on a connection of the system role."""

    def __init__(self, connection: Pipeline) -> None:
        self._connection = connection

    async def take(self, now: datetime, lease_end: datetime) -> Taken | None:
        """Return the mail that is due longest. No other process gets it before the lease's end, and whoever dies with it loses nothing."""
        rows = (await self._connection.ask(_TAKE, {"now": now, "lease_end": lease_end})).rows()
        return Taken(**{name: rows[0][name] for name in Taken._fields}) if rows else None

    async def put_off(self, mail: Taken, until: datetime) -> None:
        """Have a mail tried again later."""
        await self._do(_PUT_OFF, for_id=mail.id, new_time=until)

    async def delete(self, mail: Taken) -> None:
        """Forget a mail that was sent, or that nobody will get."""
        await self._do(_DELETE, for_id=mail.id)

    async def age(self, now: datetime) -> float:
        """Return the seconds that the oldest mail has waited, 0 when none does."""
        (row,) = (await self._connection.ask(_AGE, {"now": now})).rows()
        seconds: float = row["seconds"]
        return seconds

    async def _do(self, query: Query, **values: Any) -> None:
        await self._connection.ask(query, values)
