"""How records are kept: the columns that all have, and the statements that are the same for each; always for many at once."""

from collections.abc import Iterable
from datetime import datetime
from functools import cached_property
from typing import Any, Final

from sqlalchemy import BigInteger, Column, DateTime, Index, bindparam, func, select, text

from chassis.database import Query, UnitOfWork
from chassis.database.columns import resource_columns
from chassis.records import BatchStore
from services.crm.records.kinds import R
from services.crm.search.rules import VERSION as VERSION_OF_TOKENS
from services.crm.search.store import search_tokens

LIVE: Final = text("delete_time IS NULL")


def record_columns() -> tuple[Column[Any], ...]:
    """Return the columns that every record has: those of a resource, and when it was deleted."""
    return (*resource_columns(), Column("delete_time", DateTime(timezone=True)))


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


_TENANTS_TO_PURGE: Final = Query(
    select(func.tenants_with_purgeable_records(bindparam("before", type_=DateTime(timezone=True))).label("tenant_id"))
)


async def tenants_to_purge(work: UnitOfWork, before: datetime) -> list[str]:
    """Return the tenants that have records which were deleted before a time; the one question that is asked of all tenants."""
    return [str(row["tenant_id"]) for row in await work.all(_TENANTS_TO_PURGE, before=before)]


class RecordStore(BatchStore[R]):
    """The statements over one table of records, with those of its purge and of the search."""

    async def lock_due(self, work: UnitOfWork, before: datetime, most: int) -> dict[str, int]:
        """Return the versions of records that were deleted before a time, by id, the oldest first; lock them."""
        return {row["id"]: row["version"] for row in await work.all(self._due, before=before, most=most)}

    async def lock_unfound(self, work: UnitOfWork, after: str, most: int) -> dict[str, R]:
        """Return live records with an id behind `after` whom the search does not find by the present rules, by id; lock them."""
        return await self._by_id(await work.find(self._unfound, after=after, most=most))

    async def tenants(self, work: UnitOfWork) -> set[str]:
        """Return the tenants that have records; a tenant's own unit of work sees no other than itself."""
        return {row["tenant_id"] for row in await work.all(self._tenants)}

    @cached_property
    def _due(self) -> Query:
        table, deleted = self._table, self._table.c.delete_time
        due = select(table.c.id, table.c.version).where(deleted < bindparam("before", type_=deleted.type))
        return Query(due.order_by(deleted).limit(bindparam("most", type_=BigInteger())).with_for_update(skip_locked=True))

    @cached_property
    def _unfound(self) -> Query:
        table, tokens = self._table, search_tokens.c
        renewed = select(tokens.entity_id).where(tokens.entity_id == table.c.id, tokens.version == VERSION_OF_TOKENS)
        behind = table.c.id > bindparam("after", type_=table.c.id.type)
        unfound = self._select(behind).where(table.c.delete_time.is_(None), ~renewed.exists()).order_by(table.c.id)
        return Query(unfound.limit(bindparam("most", type_=BigInteger())).with_for_update(key_share=True))

    @cached_property
    def _tenants(self) -> Query:
        return Query(select(self._table.c.tenant_id).distinct())
