"""How records are kept: the columns that all have, and the statements that are the same for each; always for many at once."""

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import Any, Final, Generic

from sqlalchemy import ARRAY, BigInteger, Column, DateTime, Index, Table, Text, Uuid, bindparam, func, select, text
from sqlalchemy.sql.selectable import TableValuedAlias

from chassis import etags
from chassis.database import Query, UnitOfWork
from chassis.mapping import VERSION, Mapping
from services.crm.records.kinds import R
from services.crm.search.rules import VERSION as VERSION_OF_TOKENS
from services.crm.search.store import search_tokens

LIVE: Final = text("delete_time IS NULL")


def record_columns() -> tuple[Column[Any], ...]:
    """Return the columns that every record has: id, version (its etag), times."""
    return (
        Column("id", Uuid(as_uuid=False), nullable=False),
        Column(VERSION, BigInteger, nullable=False),
        Column("create_time", DateTime(timezone=True), nullable=False),
        Column("update_time", DateTime(timezone=True), nullable=False),
        Column("delete_time", DateTime(timezone=True)),
    )


def word(name: str) -> Column[Any]:
    """Return a column for a text that is '' when it is not set, compared by code points."""
    return Column(name, Text(collation="C"), nullable=False)


def reference(name: str) -> Column[Any]:
    """Return a column for the id of another record."""
    return Column(name, Uuid(as_uuid=False))


def indices(table: str, orders: Iterable[str], words: Iterable[str], others: Iterable[str]) -> tuple[Index, ...]:
    """Return the indices of a record's lists.

    Each order has one over the live rows and one over all. A word is indexed where it is set, other fields of filters and
    foreign keys always. What is deleted is found by its purge.
    """
    return (
        *(Index(f"{table}_{name}_live", "tenant_id", name, "id", postgresql_where=LIVE) for name in orders),
        *(Index(f"{table}_{name}", "tenant_id", name, "id") for name in orders),
        *(Index(f"{table}_{name}", "tenant_id", name, postgresql_where=text(f"{name} > ''")) for name in words),
        *(Index(f"{table}_{name}", "tenant_id", name) for name in others),
        Index(f"{table}_deleted", "tenant_id", "delete_time", postgresql_where=text("delete_time IS NOT NULL")),
    )


def unnested(table: Table, columns: Sequence[str]) -> TableValuedAlias:
    """Return rows that are given as one array for each column, named like the column."""
    arrays = (bindparam(name, type_=ARRAY(table.c[name].type)) for name in columns)
    return func.unnest(*arrays).table_valued(*columns).render_derived(name="given")


def arrays(rows: Sequence[dict[str, Any]], columns: Sequence[str]) -> dict[str, list[Any]]:
    """Return rows as the arrays that `unnested` takes."""
    return {name: [row[name] for row in rows] for name in columns}


_TENANTS_TO_PURGE: Final = Query(
    select(func.tenants_with_purgeable_records(bindparam("before", type_=DateTime(timezone=True))).label("tenant_id"))
)


async def tenants_to_purge(work: UnitOfWork, before: datetime) -> list[str]:
    """Return the tenants that have records which were deleted before a time; the one question that is asked of all tenants."""
    return [str(row["tenant_id"]) for row in await work.all(_TENANTS_TO_PURGE, before=before)]


class Store(Generic[R]):
    """The statements over one table of records. `derived` gives the columns that are no field of the contract."""

    def __init__(self, mapping: Mapping[R], table: Table, derived: Callable[[R], dict[str, Any]]) -> None:
        self._mapping: Mapping[R] = mapping
        self._derived: Callable[[R], dict[str, Any]] = derived
        self._written = [column.name for column in table.c if column.name != "tenant_id"]
        given = unnested(table, self._written)
        ids = func.any(bindparam("ids", type_=ARRAY(table.c.id.type)))
        columns = select(*(table.c[name] for name in mapping.columns))
        self._get = Query(columns.where(table.c.id == bindparam("id", type_=table.c.id.type)))
        many = columns.where(table.c.id == ids)
        self._many = Query(many)
        # In the order of the ids, so that two writers of the same records never wait for each other in a circle.
        self._lock = Query(many.order_by(table.c.id).with_for_update(key_share=True))
        self._insert = Query(table.insert().from_select(self._written, select(*(given.c[name] for name in self._written))))
        given_one = {name: bindparam(name, type_=table.c[name].type) for name in self._written}
        self._insert_one = Query(table.insert().inline().values(given_one))
        changed = {name: given.c[name] for name in self._written if name not in {"id", "create_time"}}
        self._update = Query(table.update().where(table.c.id == given.c.id).values(changed))
        self._remove = Query(table.delete().where(table.c.id == ids))
        renewed = select(search_tokens.c.entity_id).where(
            search_tokens.c.entity_id == table.c.id, search_tokens.c.version == VERSION_OF_TOKENS
        )
        unfound = columns.where(table.c.id > bindparam("after", type_=table.c.id.type), table.c.delete_time.is_(None), ~renewed.exists())
        self._unfound = Query(unfound.order_by(table.c.id).limit(bindparam("most", type_=BigInteger())).with_for_update(key_share=True))
        self._tenants = Query(select(table.c.tenant_id).distinct())
        deleted = table.c.delete_time
        due = select(table.c.id, table.c.version).where(deleted < bindparam("before", type_=deleted.type))
        self._due = Query(due.order_by(deleted).limit(bindparam("most", type_=BigInteger())).with_for_update(skip_locked=True))

    async def get(self, work: UnitOfWork, record_id: str) -> R | None:
        """Return a record, deleted or not."""
        row = await work.first(self._get, id=record_id)
        return None if row is None else self._mapping.message(row)

    async def many(self, work: UnitOfWork, ids: Sequence[str]) -> dict[str, R]:
        """Return the records that exist, by id."""
        return {row["id"]: self._mapping.message(row) for row in await work.all(self._many, ids=list(ids))}

    async def lock(self, work: UnitOfWork, ids: Sequence[str]) -> dict[str, R]:
        """Return the records that exist, by id, and keep others from changing them until the end of the unit of work."""
        return {row["id"]: self._mapping.message(row) for row in await work.all(self._lock, ids=list(ids))}

    async def insert(self, work: UnitOfWork, records: Sequence[R]) -> None:
        """Keep new records."""
        if len(records) == 1:
            await work.send(self._insert_one, **self._row(records[0]))
        else:
            await work.send(self._insert, **self._arrays(records))

    async def update(self, work: UnitOfWork, records: Sequence[R]) -> None:
        """Keep records as they are now; they were locked before."""
        await work.send(self._update, **self._arrays(records))

    async def remove(self, work: UnitOfWork, ids: Sequence[str]) -> None:
        """Remove records for good."""
        await work.run(self._remove, ids=list(ids))

    async def lock_due(self, work: UnitOfWork, before: datetime, most: int) -> dict[str, int]:
        """Return the versions of records that were deleted before a time, by id, the oldest first; lock them."""
        return {row["id"]: row["version"] for row in await work.all(self._due, before=before, most=most)}

    async def lock_unfound(self, work: UnitOfWork, after: str, most: int) -> dict[str, R]:
        """Return live records with an id behind `after` whom the search does not find by the present rules, by id; lock them."""
        return {row["id"]: self._mapping.message(row) for row in await work.all(self._unfound, after=after, most=most)}

    async def tenants(self, work: UnitOfWork) -> set[str]:
        """Return the tenants that have records; a tenant's own unit of work sees no other than itself."""
        return {row["tenant_id"] for row in await work.all(self._tenants)}

    def _arrays(self, records: Sequence[R]) -> dict[str, list[Any]]:
        return arrays([self._row(record) for record in records], self._written)

    def _row(self, record: R) -> dict[str, Any]:
        return {**self._mapping.values(record), VERSION: etags.version(record.etag), **self._derived(record)}
