"""Search misses: class tenant. Counts are added to them, many at once; nothing else of them changes."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

import orjson
from sqlalchemy import (
    ARRAY,
    BigInteger,
    Column,
    Index,
    Text,
    UniqueConstraint,
    bindparam,
    cast,
    func,
    literal,
    select,
    tuple_,
)
from sqlalchemy.dialects.postgresql import JSONB, insert

from chassis import filters, ids
from chassis.database import Query, UnitOfWork, tenant_table
from chassis.database.columns import resource_columns, word
from chassis.filters import Fields
from chassis.listing import Listing
from chassis.mapping import VERSION, Mapping
from chassis.records import Store
from kith.crm.v1.search_misses_pb2 import SearchMiss
from services.crm.search_misses.rules import KEPT, PEOPLE
from services.crm.store import METADATA

search_misses: Final = tenant_table(
    "search_misses",
    METADATA,
    *resource_columns(),
    word("key"),
    Column("query", Text, nullable=False),
    Column("words", JSONB, nullable=False),
    Column("kinds", JSONB, nullable=False),
    Column("miss_count", BigInteger, nullable=False),
    Column("people_count", BigInteger, nullable=False),
    Column("people", ARRAY(BigInteger), nullable=False),
    UniqueConstraint("tenant_id", "key", name="search_misses_key"),
    *(Index(f"search_misses_{name}", "tenant_id", name, "id") for name in ("create_time", "update_time", "miss_count")),
)
_M: Final = search_misses.c
_MAPPING: Final = Mapping(SearchMiss, search_misses)
STORE: Final = Store(_MAPPING, search_misses)
LISTING: Final = Listing(
    search_misses,
    columns=_MAPPING.columns,
    orders={"miss_count": _M.miss_count, "create_time": _M.create_time, "update_time": _M.update_time},
    default="miss_count desc",
    filters=Fields(
        filters.integer("miss_count", _M.miss_count),
        filters.integer("people_count", _M.people_count),
        filters.timestamp("create_time", _M.create_time),
        filters.timestamp("update_time", _M.update_time),
    ),
)
message: Final = _MAPPING.message
"""How a row that the listing found is a search miss."""


@dataclass(slots=True, kw_only=True)
class Miss:
    """A query that found nothing, and how often since it was last written."""

    key: str
    query: str
    words: Sequence[str]
    kinds: Sequence[int]
    first: datetime
    last: datetime
    count: int = 1
    people: set[int] = field(default_factory=set)


_GIVEN: Final = ("id", "key", "query", "words", "kinds", "create_time", "update_time", "miss_count")
_given: Final = (
    func.unnest(*(bindparam(f"given_{name}", type_=ARRAY(_M[name].type)) for name in _GIVEN), bindparam("given_people", type_=ARRAY(Text)))
    .table_valued(*_GIVEN, "people")
    .render_derived(name="given")
)
_people: Final = cast(_given.c.people, ARRAY(BigInteger))
# In the order of the keys, so that two processes that count the same never wait for each other in a circle.
_COUNTED: Final = select(*(_given.c[name] for name in _GIVEN), _people, func.cardinality(_people), literal(1, BigInteger)).order_by(
    _given.c.key
)
_NEW: Final = insert(search_misses).from_select((*_GIVEN, "people", "people_count", VERSION), _COUNTED)
_each: Final = func.unnest(_M.people + _NEW.excluded.people).table_valued("person").render_derived(name="each")
_all_people: Final = func.array(select(_each.c.person).distinct().limit(PEOPLE).scalar_subquery(), type_=ARRAY(BigInteger))
_ADD: Final = Query(
    _NEW.on_conflict_do_update(
        index_elements=["tenant_id", "key"],
        set_={
            VERSION: _M.version + 1,
            "update_time": func.greatest(_M.update_time, _NEW.excluded.update_time),
            "query": _NEW.excluded.query,
            "miss_count": _M.miss_count + _NEW.excluded.miss_count,
            "people_count": func.cardinality(_all_people),
            "people": _all_people,
        },
    )
)
_age: Final = tuple_(_M.update_time, _M.id)
_last_kept: Final = select(_M.update_time, _M.id).order_by(_M.update_time.desc(), _M.id.desc()).offset(KEPT - 1).limit(1).scalar_subquery()
_TRIM: Final = Query(search_misses.delete().where(_age < _last_kept))
_CLEAR: Final = Query(search_misses.delete())
_FORGET: Final = Query(search_misses.delete().where(_M.update_time < bindparam("before", type_=_M.update_time.type)))
_TENANTS_TO_FORGET: Final = Query(
    select(func.tenants_with_old_search_misses(bindparam("before", type_=_M.update_time.type)).label("tenant_id"))
)


async def add(work: UnitOfWork, misses: Collection[Miss]) -> None:
    """Count what was not found, and leave the latest entries alone."""
    rows = [_row(miss) for miss in misses]
    await work.send(_ADD, **{f"given_{name}": [row[name] for row in rows] for name in (*_GIVEN, "people")})
    await work.send(_TRIM)


async def clear(work: UnitOfWork) -> int:
    """Empty the report; return how many entries there were."""
    return await work.run(_CLEAR)


async def forget(work: UnitOfWork, before: datetime) -> None:
    """Take entries out of the report that were last searched for before a time."""
    await work.run(_FORGET, before=before)


async def tenants_to_forget(work: UnitOfWork, before: datetime) -> list[str]:
    """Return the tenants that have entries from before a time; it is asked of all tenants."""
    return [str(row["tenant_id"]) for row in await work.all(_TENANTS_TO_FORGET, before=before)]


def _row(miss: Miss) -> dict[str, Any]:
    return {
        "id": ids.new(),
        "key": miss.key,
        "query": miss.query,
        "words": orjson.dumps(miss.words).decode(),
        "kinds": orjson.dumps(miss.kinds).decode(),
        "create_time": miss.first,
        "update_time": miss.last,
        "miss_count": miss.count,
        "people": f"{{{','.join(map(str, sorted(miss.people)[:PEOPLE]))}}}",
    }
