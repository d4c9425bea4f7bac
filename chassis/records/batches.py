"""The statements over a table of resources for many rows at once."""

from collections.abc import Sequence
from functools import cached_property
from typing import TypeVar

from google.protobuf.message import Message
from sqlalchemy import ARRAY, ColumnElement, bindparam, func, select

from chassis import turns
from chassis.database import Found, Query, UnitOfWork
from chassis.database.arrays import arrays, unnested
from chassis.records.resource import resource
from chassis.records.store import KEPT, Store

M = TypeVar("M", bound=Message)


class BatchStore(Store[M]):
    """Reads and writes many rows in one statement, as well as single ones."""

    async def get_many(self, work: UnitOfWork, ids: Sequence[str]) -> dict[str, M]:
        """Return the resources that exist, by id."""
        return await self._by_id(await work.find(self._get_many, ids=list(ids)))

    async def lock_many(self, work: UnitOfWork, ids: Sequence[str]) -> dict[str, M]:
        """Return the resources that exist, by id, and keep others from changing them until the end of the unit of work."""
        return await self._by_id(await work.find(self._lock_many, ids=list(ids)))

    async def insert_many(self, work: UnitOfWork, new: Sequence[M]) -> None:
        """Keep new resources."""
        if len(new) == 1:  # arrays of one cost as much as the rest of their statement
            await self.insert(work, new[0])
        else:
            await work.send(self._insert_many, **arrays(await turns.mapped(self._row, new), self._written))

    async def update_many(self, work: UnitOfWork, after: Sequence[M]) -> None:
        """Keep resources as they are now; they were locked before."""
        await work.send(self._update_many, **arrays(await turns.mapped(self._row, after), self._written))

    async def delete_many(self, work: UnitOfWork, ids: Sequence[str]) -> None:
        """Remove resources for good."""
        await work.send(self._delete_many, ids=list(ids))

    async def _by_id(self, found: Found) -> dict[str, M]:
        read = await turns.mapped(lambda number: self._fields.message(found.row(number)), range(found.size))
        return {resource(each).id: each for each in read}

    @property
    def _are_meant(self) -> ColumnElement[bool]:
        return self._table.c.id == func.any(bindparam("ids", type_=ARRAY(self._table.c.id.type)))

    @cached_property
    def _get_many(self) -> Query:
        return Query(self._select(self._are_meant))

    @cached_property
    def _lock_many(self) -> Query:
        # In the order of the ids, so that two writers of the same rows never wait for each other in a circle.
        return Query(self._select(self._are_meant).order_by(self._table.c.id).with_for_update(key_share=True))

    @cached_property
    def _insert_many(self) -> Query:
        given = unnested(self._table, self._written)
        return Query(self._table.insert().from_select(list(self._written), select(*(given.c[name] for name in self._written))))

    @cached_property
    def _update_many(self) -> Query:
        given = unnested(self._table, self._written)
        changed = {name: given.c[name] for name in self._written if name not in KEPT}
        return Query(self._table.update().where(self._table.c.id == given.c.id).values(changed))

    @cached_property
    def _delete_many(self) -> Query:
        return Query(self._table.delete().where(self._are_meant))
