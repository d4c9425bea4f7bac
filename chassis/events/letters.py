"""Dead letters: buried by the consumer in a transaction of their tenant, read and settled by the system role."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from typing import Any, Final, Self

import orjson
from sqlalchemy import BigInteger, Text, bindparam, cast, func, null, select
from sqlalchemy.dialects.postgresql import JSONB, insert

from chassis.database import Query, unit_of_work
from chassis.database.dead_letters import dead_letters as table
from chassis.database.pipeline import Pipeline

COUNTED: Final = 10_000  # letters; more are not counted to their end


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """One event that a consumer could not handle, as it came, and why. `stream` and `sequence` say where it stood."""

    tenant_id: str
    consumer: str
    message_id: str
    stream: str
    sequence: int
    type: str
    key: str
    reason: str
    tries: int
    first_at: datetime
    last_at: datetime
    headers: Mapping[str, str]
    payload: bytes

    @classmethod
    def of_row(cls, row: Mapping[str, Any]) -> Self:
        """Return the letter that a row holds."""
        return cls(**{name: row[name] for name in _NAMES} | {"tenant_id": str(row["tenant_id"])})


_NAMES: Final = [field.name for field in fields(Letter)]
_BOUND: Final = {name: bindparam(name, type_=table.c[name].type) for name in _NAMES if name != "tenant_id"}
_NEW: Final = insert(table).values({**_BOUND, "headers": cast(bindparam("headers", type_=Text()), JSONB)})
_BURY: Final = Query(_NEW.on_conflict_do_nothing().inline())  # inline: no RETURNING, which takes the right to read

_THIS: Final = [table.c[name] == bindparam(name) for name in ("tenant_id", "consumer", "message_id")]
_OF_STREAM: Final = table.c.stream == bindparam("stream")
_MARKED: Final = Query(
    select(*(table.c[name] for name in _NAMES))
    .where(_OF_STREAM, table.c.replay_at.is_not(None))
    .order_by(table.c.sequence)
    .limit(bindparam("size", type_=BigInteger()))
)
_DELETE: Final = Query(table.delete().where(*_THIS))
_KEEP: Final = Query(
    table.update().where(*_THIS).values(reason=bindparam("why"), tries=table.c.tries + 1, last_at=func.now(), replay_at=null())
)
_COUNT: Final = Query(
    select(func.count().label("letters")).select_from(select(table.c.sequence).where(_OF_STREAM).limit(COUNTED).subquery())
)


async def bury(letter: Letter) -> None:
    """Keep the letter, in a transaction of its tenant; one that is there already stays as it is."""
    values = {**asdict(letter), "headers": orjson.dumps(letter.headers).decode()}
    del values["tenant_id"]
    async with unit_of_work(letter.tenant_id) as work:
        await work.run(_BURY, **values)


async def marked(connection: Pipeline, stream: str, size: int) -> list[Letter]:
    """Return letters that are to be handed in again, in the order of their stream."""
    found = await connection.ask(_MARKED, {"stream": stream, "size": size})
    return [Letter.of_row(row) for row in found.rows()]


async def delete(connection: Pipeline, letter: Letter) -> None:
    """Forget a letter: its event was handled."""
    await connection.ask(_DELETE, _key(letter))


async def keep(connection: Pipeline, letter: Letter, why: str) -> None:
    """Note that a letter was handed in again and failed again; it is not handed in once more unless somebody says so."""
    await connection.ask(_KEEP, {**_key(letter), "why": why})


async def count(connection: Pipeline, stream: str) -> int:
    """Return how many letters of a stream there are."""
    (row,) = (await connection.ask(_COUNT, {"stream": stream})).rows()
    return int(row["letters"])


def _key(letter: Letter) -> dict[str, str]:
    return {"tenant_id": letter.tenant_id, "consumer": letter.consumer, "message_id": letter.message_id}
