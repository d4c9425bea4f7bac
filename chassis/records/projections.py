"""Projections: what a service keeps of another one's resources, because it needs it on a hot path; kept by events."""

from functools import cached_property
from typing import Generic, TypeVar

from google.protobuf.message import Message
from sqlalchemy import Table, bindparam
from sqlalchemy.dialects.postgresql import insert

from chassis import etags
from chassis.database import Query, UnitOfWork
from chassis.mapping import VERSION
from chassis.mapping import Mapping as Fields
from chassis.records.resource import resource

M = TypeVar("M", bound=Message)


class Projection(Generic[M]):
    """Keeps the fields for which its table has a column. An event that comes again, or behind a newer one, changes nothing."""

    def __init__(self, fields: Fields[M], table: Table) -> None:
        self._fields = fields
        self._table = table

    async def put(self, work: UnitOfWork, message: M) -> None:
        """Keep what is known of a resource, unless something newer is."""
        await work.send(self._put, **self._fields.values(message), version=etags.version(resource(message).etag))

    @cached_property
    def _put(self) -> Query:
        names = self._fields.columns
        new = insert(self._table).inline().values({name: bindparam(name, type_=self._table.c[name].type) for name in names})
        newer = new.on_conflict_do_update(
            index_elements=[column.name for column in self._table.primary_key],
            set_={name: new.excluded[name] for name in names},
            where=new.excluded[VERSION] > self._table.c[VERSION],
        )
        return Query(newer)
