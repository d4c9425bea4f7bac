"""The statements over a table whose rows are one kind of resource, one row at a time. Each is compiled when it is first run."""

from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any, Final, Generic, TypeVar

from google.protobuf.message import Message
from sqlalchemy import BindParameter, ColumnElement, Select, Table, bindparam, select

from chassis import answers, etags
from chassis.database import Query, Row, UnitOfWork
from chassis.mapping import VERSION
from chassis.mapping import Mapping as Fields
from chassis.records.resource import resource

M = TypeVar("M", bound=Message)

KEPT: Final = frozenset({"id", "create_time"})
"""Columns that never change."""


class Store(Generic[M]):
    """Reads and writes single rows. `derived` gives the columns that are no field of the contract, such as sort keys."""

    def __init__(self, fields: Fields[M], table: Table, derived: Mapping[str, Callable[[M], Any]] | None = None) -> None:
        self._fields = fields
        self._table = table
        self._derived = derived or {}
        self._written = (*fields.columns, *self._derived)

    async def get(self, work: UnitOfWork, resource_id: str) -> M | None:
        """Return a resource."""
        return self._found(await work.first(self._get, id=resource_id))

    async def show(self, work: UnitOfWork, resource_id: str) -> M | None:
        """Return the answer with a resource, which is for nobody but who asked."""
        found = await work.find(self._get, id=resource_id)
        return answers.resource(self._fields, found) if found.size else None

    async def lock(self, work: UnitOfWork, resource_id: str) -> M | None:
        """Return a resource, and keep others from changing it until the end of the unit of work."""
        return self._found(await work.first(self._lock, id=resource_id))

    async def insert(self, work: UnitOfWork, new: M) -> None:
        """Keep a new resource."""
        await work.send(self._insert, **self._row(new))

    async def update(self, work: UnitOfWork, after: M) -> None:
        """Keep a resource as it is now; it was locked before."""
        await work.send(self._update, **self._row(after))

    async def delete(self, work: UnitOfWork, resource_id: str) -> None:
        """Remove a resource for good."""
        await work.send(self._delete, id=resource_id)

    def _found(self, row: Row | None) -> M | None:
        return None if row is None else self._fields.message(row)

    def _row(self, message: M) -> dict[str, Any]:
        own = {name: column(message) for name, column in self._derived.items()}
        return {**self._fields.values(message), VERSION: etags.version(resource(message).etag), **own}

    def _select(self, where: ColumnElement[bool]) -> Select[Any]:
        return select(*(self._table.c[name] for name in self._fields.columns)).where(where)

    def _given(self, name: str) -> BindParameter[Any]:
        return bindparam(name, type_=self._table.c[name].type)

    @property
    def _is_meant(self) -> ColumnElement[bool]:
        return self._table.c.id == self._given("id")

    @cached_property
    def _get(self) -> Query:
        return Query(self._select(self._is_meant))

    @cached_property
    def _lock(self) -> Query:
        # Rows that refer to this one may come meanwhile: they need it to stay, not to stay as it is.
        return Query(self._select(self._is_meant).with_for_update(key_share=True))

    @cached_property
    def _insert(self) -> Query:
        return Query(self._table.insert().inline().values({name: self._given(name) for name in self._written}))

    @cached_property
    def _update(self) -> Query:
        changed = {name: self._given(name) for name in self._written if name not in KEPT}
        return Query(self._table.update().where(self._is_meant).values(changed))

    @cached_property
    def _delete(self) -> Query:
        return Query(self._table.delete().where(self._is_meant))
