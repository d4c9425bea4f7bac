"""Lists of rows by keyset: any order that has an index, a filter, signed page tokens, one statement for each shape of question."""

import operator
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, Final, NamedTuple, Self, cast

from cachetools import LRUCache
from google.protobuf.message import Message
from sqlalchemy import BigInteger, Column, DateTime, Select, Table, bindparam, select, tuple_

from chassis import pages
from chassis.database import Found, Query, Row, UnitOfWork
from chassis.errors import InvalidArgument, Reason, Violation
from chassis.filters import Fields, Filter
from chassis.filters.conditions import Shape

_STATEMENTS: Final = 256
_ASKED: Final[dict[type[Message], frozenset[str]]] = {}
"""The fields of an Ask that each type of request has."""
DESCENDING: Final = " desc"
SIZE: Final = "page_rows"
LAST_KEY: Final = "page_last_key"
LAST_ID: Final = "page_last_id"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """What a list request asks for, whichever of it the request has (AIP-132, 158, 160, 164)."""

    page_size: int = 0
    page_token: str = ""
    filter: str = ""
    order_by: str = ""
    show_deleted: bool = False

    @classmethod
    def of(cls, request: Message) -> Self:
        """Take over the fields that the request has under these names."""
        kind = type(request)
        names = _ASKED.get(kind)
        if names is None:
            names = _ASKED[kind] = frozenset(each.name for each in fields(cls)).intersection(request.DESCRIPTOR.fields_by_name.keys())
        return cls(**{name: getattr(request, name) for name in names})


class Page(NamedTuple):
    """The first `size` of the rows that were found, and the token of the next page; empty on the last."""

    found: Found
    size: int
    next_page_token: str

    @property
    def rows(self) -> list[Row]:
        """Return the rows of the page."""
        return [self.found.row(number) for number in range(self.size)]


class Order(NamedTuple):
    """A sort key and its direction; the id breaks ties."""

    column: str
    descending: bool


class Question(NamedTuple):
    """All that decides the text of a statement."""

    order: Order
    shape: Shape | None
    show_deleted: bool
    further: bool


class Listing:
    """One list: its rows, the orders they may be read in, and the fields they may be filtered by.

    Each order wants an index on (tenant_id, column, id); where rows can be deleted, a second one over the live rows alone.
    A sort column is never NULL: a row comparison with NULL would lose rows.
    """

    def __init__(
        self,
        table: Table,
        *,
        columns: Sequence[str],
        orders: Mapping[str, Column[Any]],
        default: str,
        filters: Fields | None = None,
        deleted: Column[Any] | None = None,
    ) -> None:
        nullable = [name for name, column in orders.items() if column.nullable]
        if nullable:
            raise ValueError(f"{table.name}: a list cannot be sorted by what may be NULL: {', '.join(nullable)}")
        self._table = table
        self._columns = [table.c[name] for name in dict.fromkeys((*columns, *(column.name for column in orders.values()), "id"))]
        self.orders = {name + suffix: Order(column.name, bool(suffix)) for name, column in orders.items() for suffix in ("", DESCENDING)}
        self._default = self.orders[default]
        self.filters = filters or Fields()
        self._deleted = deleted
        self._queries: LRUCache[Question, Query] = LRUCache(_STATEMENTS)

    async def page(self, work: UnitOfWork, ask: Ask) -> Page:
        """Return one page. Refuses a wrong size, filter, order or page token with INVALID_ARGUMENT."""
        size = pages.size(ask.page_size)
        order = self._order(ask.order_by)
        wanted = self.filters.read(ask.filter)
        bound_to = (self._table.name, work.tenant_id, ask.filter.strip(), *map(str, order), str(ask.show_deleted))
        position = self._position(order, pages.unseal(ask.page_token, bound_to)) if ask.page_token else {}
        query = self.query(Question(order, wanted.shape, ask.show_deleted, bool(position)))
        found = await work.find(query, **{SIZE: size + 1}, **wanted.values, **position)
        if found.size <= size:
            return Page(found, found.size, "")
        last = [_plain(found.value(size - 1, name)) for name in (order.column, "id")]
        return Page(found, size, pages.seal(last, bound_to))

    def walk(self, ask: Ask) -> "Walk":
        """Return a way through all rows. Refuses a wrong filter or order with INVALID_ARGUMENT."""
        return Walk(self, self._order(ask.order_by), self.filters.read(ask.filter), show_deleted=ask.show_deleted)

    def _order(self, wanted: str) -> Order:
        """Return the order that is asked for, such as "create_time desc"."""
        words = " ".join(wanted.split())
        if not words:
            return self._default
        if words in self.orders:
            return self.orders[words]
        text = f"must be one of {', '.join(name for name, order in self.orders.items() if not order.descending)}, or one followed by desc"
        raise InvalidArgument(Reason.ORDER_INVALID, f"order_by: {text}", fields=[Violation("order_by", text)])

    def _position(self, order: Order, sealed: list[Any]) -> dict[str, Any]:
        """Return the parameters for the row that a page token names."""
        key, last_id = sealed
        is_moment = isinstance(self._table.c[order.column].type, DateTime)
        return {LAST_KEY: datetime.fromisoformat(key) if is_moment else key, LAST_ID: last_id}

    def query(self, question: Question) -> Query:
        """Return the statement that answers every question of this shape."""
        query = self._queries.get(question)
        if query is None:
            query = self._queries[question] = Query(self._statement(question))
        return query

    def _statement(self, question: Question) -> Select[Any]:
        key, last = self._table.c[question.order.column], self._table.c.id
        statement = select(*self._columns).limit(bindparam(SIZE, type_=BigInteger()))
        if self._deleted is not None and not question.show_deleted:
            statement = statement.where(self._deleted.is_(None))
        if question.shape is not None:
            statement = statement.where(self.filters.condition(question.shape))
        if question.further:
            behind = operator.lt if question.order.descending else operator.gt
            position = tuple_(bindparam(LAST_KEY, type_=key.type), bindparam(LAST_ID, type_=last.type))
            statement = statement.where(behind(tuple_(key, last), position))
        return statement.order_by(*(column.desc() if question.order.descending else column.asc() for column in (key, last)))


class Walk:
    """A way through all rows of a list, some at a time; each time may be a unit of work of its own, so that none lasts.

    A row that comes, goes or changes its place meanwhile is met where it is then; every other one is met exactly once.
    """

    def __init__(self, listing: Listing, order: Order, wanted: Filter, *, show_deleted: bool) -> None:
        self._listing = listing
        self._order = order
        self._wanted = wanted
        self._show_deleted = show_deleted
        self._position: dict[str, Any] = {}

    async def next(self, work: UnitOfWork, most: int) -> Found:
        """Return the next rows, fewer than `most` of them only at the end."""
        query = self._listing.query(Question(self._order, self._wanted.shape, self._show_deleted, bool(self._position)))
        found = await work.find(query, **{SIZE: most}, **self._wanted.values, **self._position)
        if found.size:
            last = found.size - 1
            self._position = {LAST_KEY: found.value(last, self._order.column), LAST_ID: found.value(last, "id")}
        return found


def _plain(value: object) -> str | int:
    """Return a sort key as a page token holds it."""
    return value.isoformat() if isinstance(value, datetime) else cast("str | int", value)
