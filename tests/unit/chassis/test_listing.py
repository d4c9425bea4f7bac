"""Lists by keyset: the statement of each shape, and what is refused before there is one."""

from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import BigInteger, Column, DateTime, MetaData, Table, Text, Uuid

from chassis import pages
from chassis.errors import InvalidArgument, Reason
from chassis.filters import Fields, integer, text
from chassis.listing import Ask, Listing
from kith.crm.v1.contacts_pb2 import ListContactsRequest
from kith.identity.v1.members_pb2 import ListMembersRequest

people = Table(
    "people",
    MetaData(),
    Column("id", Uuid(as_uuid=False), nullable=False),
    Column("name", Text(collation="C"), nullable=False),
    Column("age", BigInteger, nullable=False),
    Column("born", DateTime(timezone=True), nullable=False),
    Column("died", DateTime(timezone=True)),
)


@pytest.fixture(autouse=True)
def page_key() -> None:
    pages.use_key(b"k" * 32)


@pytest.fixture
def listing() -> Listing:
    return Listing(
        people,
        columns=("id", "age"),
        orders={"name": people.c.name, "born": people.c.born},
        default="born desc",
        filters=Fields(text("name", people.c.name), integer("age", people.c.age)),
        deleted=people.c.died,
    )


class Work:
    """A unit of work that remembers what it was asked and answers with people of one name."""

    tenant_id = "tenant"

    def __init__(self, count: int) -> None:
        self.count = count
        self.asked: list[tuple[Any, dict[str, Any]]] = []

    async def find(self, query: Any, **values: Any) -> "People":
        self.asked.append((query, values))
        return People(min(self.count, values["page_rows"]))


class People:
    """What a statement finds: so many people of one name."""

    def __init__(self, size: int) -> None:
        self.size = size

    def row(self, number: int) -> dict[str, Any]:
        return {"id": f"id-{number}", "name": "ann", "age": 1, "born": datetime(2000, 1, 1, 0, 0, 0, 123_456, tzinfo=UTC)}

    def value(self, number: int, name: str) -> Any:
        return self.row(number)[name]


async def page(listing: Listing, work: Work, **asked: Any) -> Any:
    return await listing.page(work, Ask(**asked))  # type: ignore[arg-type]


async def test_a_page_is_one_statement_with_one_row_more_to_know_of_the_next(listing: Listing) -> None:
    work = Work(100)
    first = await page(listing, work, page_size=10)
    assert (len(first.rows), len(work.asked), work.asked[0][1]) == (10, 1, {"page_rows": 11})
    assert first.next_page_token


@pytest.mark.parametrize("count", [0, 5, 10])
async def test_the_last_page_has_no_token(listing: Listing, count: int) -> None:
    assert (await page(listing, Work(count), page_size=10)).next_page_token == ""


@pytest.mark.parametrize(
    ("order_by", "behind", "ordered"),
    [
        ("name", "(people.name, people.id) > (", "ORDER BY people.name ASC, people.id ASC"),
        ("name  desc", "(people.name, people.id) < (", "ORDER BY people.name DESC, people.id DESC"),
        ("", "(people.born, people.id) < (", "ORDER BY people.born DESC, people.id DESC"),
    ],
)
async def test_the_next_page_is_behind_the_last_row(listing: Listing, order_by: str, behind: str, ordered: str) -> None:
    work = Work(100)
    first = await page(listing, work, order_by=order_by)
    await page(listing, work, order_by=order_by, page_token=first.next_page_token)
    (before, _), (after, values) = work.asked
    assert behind not in before.sql
    assert behind in after.sql
    assert all(ordered in " ".join(query.sql.split()) for query in (before, after))
    last = first.rows[-1]
    assert (values["page_last_key"], values["page_last_id"]) == (last["name"] if "name" in order_by else last["born"], last["id"])


async def test_deleted_rows_are_left_out_unless_asked_for(listing: Listing) -> None:
    work = Work(1)
    await page(listing, work)
    await page(listing, work, show_deleted=True)
    assert ["died IS NULL" in query.sql for query, _ in work.asked] == [True, False]


async def test_questions_of_one_shape_share_one_statement(listing: Listing) -> None:
    work = Work(1)
    for name in ("ann", "bob"):
        await page(listing, work, filter=f"name = {name}", page_size=len(name))
    await page(listing, work, filter="age = 5")
    queries = [query for query, _ in work.asked]
    assert queries[0] is queries[1]
    assert queries[0] is not queries[2]
    assert [values.get("filter_0") for _, values in work.asked] == ["ann", "bob", 5]


@pytest.mark.parametrize("other", [{"filter": "age = 5"}, {"order_by": "name"}, {"show_deleted": True}])
async def test_a_token_belongs_to_its_list(listing: Listing, other: dict[str, Any]) -> None:
    token = (await page(listing, Work(100))).next_page_token
    with pytest.raises(InvalidArgument) as refused:
        await page(listing, Work(100), page_token=token, **other)
    assert refused.value.reason is Reason.PAGE_TOKEN_MISMATCH


@pytest.mark.parametrize("order_by", ["age", "name asc", "name,born", "name desc desc", "desc", "-name"])
async def test_an_order_without_an_index_is_refused(listing: Listing, order_by: str) -> None:
    work = Work(1)
    with pytest.raises(InvalidArgument) as refused:
        await page(listing, work, order_by=order_by)
    assert refused.value.reason is Reason.ORDER_INVALID
    assert not work.asked


def test_what_may_be_null_is_no_order() -> None:
    with pytest.raises(ValueError, match="may be NULL: died"):
        Listing(people, columns=("id",), orders={"died": people.c.died}, default="died")


def test_an_ask_takes_what_the_request_has() -> None:
    request = ListContactsRequest(page_size=3, page_token="t", filter="f", order_by="o", show_deleted=True)
    assert Ask.of(request) == Ask(page_size=3, page_token="t", filter="f", order_by="o", show_deleted=True)
    assert Ask.of(ListMembersRequest(page_size=3)) == Ask(page_size=3)


async def test_a_walk_goes_on_behind_the_last_row_each_time(listing: Listing) -> None:
    work = Work(2)
    walk = listing.walk(Ask(filter="age = 5", order_by="born"))
    rows = [await walk.next(work, 2) for _ in range(2)]  # type: ignore[arg-type]
    assert [each.size for each in rows] == [2, 2]
    assert [values for _, values in work.asked] == [
        {"page_rows": 2, "filter_0": 5},
        {"page_rows": 2, "filter_0": 5, "page_last_key": rows[0].value(1, "born"), "page_last_id": "id-1"},
    ]


@pytest.mark.parametrize("asked", [{"filter": "height = 5"}, {"order_by": "age"}])
def test_a_walk_that_cannot_be_is_refused_before_it_begins(listing: Listing, asked: dict[str, Any]) -> None:
    with pytest.raises(InvalidArgument):
        listing.walk(Ask(**asked))
