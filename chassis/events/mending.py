"""What an operator does about a service's dead letters: look at them, have them handed in again, discard them; with the system role."""

from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import Final

from sqlalchemy import ARRAY, Boolean, Text, bindparam, func, or_, select

from chassis.database import Query
from chassis.database.dead_letters import dead_letters as table
from chassis.database.pipeline import Pipeline


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """Which letters are meant: those with the ids, of the type, of the consumer; where one is left out, all."""

    ids: Sequence[str] = ()
    type: str = ""
    consumer: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What may be shown of a letter: all but its payload. `id` is the message's; `replay_at` is set until it was handed in again."""

    id: str = field(metadata={"column": "message_id"})
    tenant_id: str
    consumer: str
    stream: str
    sequence: int
    type: str
    key: str
    reason: str
    tries: int
    first_at: datetime
    last_at: datetime
    replay_at: datetime | None
    headers: dict[str, str]


_COLUMNS: Final = [table.c[each.metadata.get("column", each.name)].label(each.name) for each in fields(Seen)]
_ALL: Final = bindparam("all_ids", type_=Boolean())
_CHOSEN: Final = (
    or_(_ALL, table.c.message_id == func.any(bindparam("ids", type_=ARRAY(Text())))),
    or_(bindparam("kind", type_=Text()) == "", table.c.type == bindparam("kind", type_=Text())),
    or_(bindparam("whose", type_=Text()) == "", table.c.consumer == bindparam("whose", type_=Text())),
)
_LOOK: Final = Query(select(*_COLUMNS).where(*_CHOSEN).order_by(table.c.first_at, table.c.stream, table.c.sequence))
_MARK: Final = Query(table.update().where(*_CHOSEN).values(replay_at=func.now()).returning(*_COLUMNS))
_DISCARD: Final = Query(table.delete().where(*_CHOSEN).returning(*_COLUMNS))


async def look(connection: Pipeline, choice: Choice) -> list[Seen]:
    """Return the chosen letters, the oldest first."""
    return await _run(connection, _LOOK, choice)


async def mark(connection: Pipeline, choice: Choice) -> list[Seen]:
    """Have the chosen letters handed in again by the process that leads their consumer; return them."""
    return await _run(connection, _MARK, choice)


async def discard(connection: Pipeline, choice: Choice) -> list[Seen]:
    """Delete the chosen letters for good; return them. Their events have no effect any more."""
    return await _run(connection, _DISCARD, choice)


async def _run(connection: Pipeline, query: Query, choice: Choice) -> list[Seen]:
    values = {"all_ids": not choice.ids, "ids": list(choice.ids), "kind": choice.type, "whose": choice.consumer}
    return [Seen(**row) for row in (await connection.ask(query, values)).rows()]
