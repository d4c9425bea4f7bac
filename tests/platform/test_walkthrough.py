"""A real list of contacts from start to end: 500 companies with 2,000 people, and the story that the stream tells of them."""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from itertools import pairwise
from typing import Any, TypeVar

import pytest
from nats.aio.client import Client
from nats.js.api import ConsumerConfig, DeliverPolicy

from chassis import names
from tests.platform.conftest import SignUp
from tests.platform.signed_in import SignedIn

COMPANIES = 500
CONTACTS = 2_000
CHANGED = 400
DELETED = 200
PAGE = 200
AT_ONCE = 16
SECONDS = 180

Record = dict[str, Any]
T = TypeVar("T")


@pytest.fixture(scope="module")
async def owner(sign_up: SignUp) -> SignedIn:
    return await sign_up()


@pytest.fixture(scope="module")
async def companies(owner: SignedIn) -> list[Record]:
    return await each(range(COMPANIES), lambda number: owner.post("/v1/companies", {"name": f"Company {number:04}"}))


@pytest.fixture(scope="module")
async def contacts(owner: SignedIn, companies: list[Record]) -> list[Record]:
    def body(number: int) -> Record:
        company = companies[number % COMPANIES]["id"]
        emails, phones = [{"address": f"person{number}@example.com"}], [{"number": f"+44 20 7946 {number % 1000:04}"}]
        return {"givenName": "Person", "familyName": f"{number:05}", "companyId": company, "emails": emails, "phones": phones}

    return await each(range(CONTACTS), lambda number: owner.post("/v1/contacts", body(number)))


async def each(things: Sequence[T], do: Callable[[T], Awaitable[Record]]) -> list[Record]:
    """Do it to each thing, some at once; return the answers in the order of the things."""
    slots = asyncio.Semaphore(AT_ONCE)

    async def one(thing: T) -> Record:
        async with slots:
            return await do(thing)

    return await asyncio.gather(*map(one, things))


async def all_pages(owner: SignedIn, kind: str, **query: Any) -> list[Record]:
    found: list[Record] = []
    page: Record = {}
    while not found or page["nextPageToken"]:
        page = await owner.get(f"/v1/{kind}", pageSize=PAGE, pageToken=page.get("nextPageToken", ""), **query)
        assert 0 < len(page[kind]) <= PAGE
        found += page[kind]
    return found


def in_order(field: str, text: str) -> datetime | str:
    """A time leaves out the zeros at its end: "…58.641Z" comes before "…58.641333Z", as a text after it."""
    return datetime.fromisoformat(text) if field.endswith("Time") else text


@pytest.mark.parametrize(
    ("order", "field", "descending"),
    [("display_name", "displayName", False), ("create_time desc", "createTime", True), ("update_time", "updateTime", False)],
)
async def test_all_are_listed_page_by_page(owner: SignedIn, contacts: list[Record], order: str, field: str, descending: bool) -> None:
    listed = await all_pages(owner, "contacts", orderBy=order)
    assert sorted(record["id"] for record in listed) == sorted(record["id"] for record in contacts)
    values = [in_order(field, record[field]) for record in listed]
    assert all(first >= second if descending else first <= second for first, second in pairwise(values))


async def test_the_people_of_a_company_are_found(owner: SignedIn, companies: list[Record], contacts: list[Record]) -> None:
    company = companies[7]["id"]
    found = await all_pages(owner, "contacts", filter=f'company_id = "{company}"')
    assert {record["id"] for record in found} == {record["id"] for record in contacts if record["companyId"] == company}


@pytest.mark.parametrize("kind", ["companies", "contacts"])
async def test_all_are_read_in_batches(owner: SignedIn, companies: list[Record], contacts: list[Record], kind: str) -> None:
    records = {"companies": companies, "contacts": contacts}[kind]
    for start in range(0, len(records), PAGE):
        part = records[start : start + PAGE]
        answer = await owner.get(f"/v1/{kind}:batchGet", ids=[record["id"] for record in part])
        assert (answer[kind], answer["missingIds"]) == (part, [])


async def test_every_making_is_told_once(owner: SignedIn, companies: list[Record], contacts: list[Record], nats_admin: Client) -> None:
    told = await story(nats_admin, owner.person.tenant_id, COMPANIES + CONTACTS)
    assert told == {record["id"]: [("created", 1)] for record in (*companies, *contacts)}


async def test_what_is_done_with_them_is_told_once_and_in_order(sign_up: SignUp, nats_admin: Client) -> None:
    """Has an organisation for itself, so that its stream tells of nothing else."""
    owner = await sign_up()
    made = await each(range(CHANGED), lambda number: owner.post("/v1/contacts", {"givenName": f"Person {number}"}))
    expected = {record["id"]: ["created"] for record in made}

    changed = await each(made, lambda record: patch(owner, record))
    batch = [{"contact": {"id": record["id"], "department": "Sales"}} for record in changed]
    await owner.post("/v1/contacts:batchUpdate", {"requests": batch})
    for life in expected.values():
        life += ["updated", "updated"]
    for record in changed[:DELETED]:
        await owner.call("DELETE", f"/v1/contacts/{record['id']}")
        expected[record["id"]].append("deleted")
    assert {record["id"] for record in await all_pages(owner, "contacts")} == {record["id"] for record in changed[DELETED:]}
    for record in changed[: DELETED // 2]:
        restored = await owner.post(f"/v1/contacts/{record['id']}:restore", {})
        assert (restored["title"], restored["department"], "deleteTime" in restored) == ("Buyer", "Sales", False)
        expected[record["id"]].append("restored")

    told = await story(nats_admin, owner.person.tenant_id, sum(map(len, expected.values())))
    assert {key: [what for what, _ in steps] for key, steps in told.items()} == expected
    for steps in told.values():
        assert [version for _, version in steps] == list(range(1, len(steps) + 1))


async def patch(owner: SignedIn, record: Record) -> Record:
    answer = await owner.call("PATCH", f"/v1/contacts/{record['id']}", json={"title": "Buyer"}, headers={"if-match": record["etag"]})
    assert answer.status_code == 200, answer.text
    changed: Record = answer.json()
    return changed


async def story(nats: Client, tenant: str, expected: int) -> dict[str, list[tuple[str, int]]]:
    """Return what happened to each record, with its version; fail when more is told than was expected."""
    subscription = await nats.jetstream().subscribe(
        f"kith.crm.*.*.*.{tenant}",
        stream=names.stream("crm"),
        config=ConsumerConfig(deliver_policy=DeliverPolicy.ALL),
        ordered_consumer=True,
    )
    told: dict[str, list[tuple[str, int]]] = defaultdict(list)
    async with asyncio.timeout(SECONDS):
        for _ in range(expected):
            message = await subscription.next_msg(timeout=SECONDS)
            headers = message.headers or {}
            told[headers["kith-key"]].append((message.subject.split(".")[3], int(headers["kith-version"])))
    with pytest.raises(TimeoutError):
        await subscription.next_msg(timeout=0.5)
    await subscription.unsubscribe()
    return told
