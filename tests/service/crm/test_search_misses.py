"""The report of what was searched for and not found, from outside: what is counted, who sees it, how it goes away."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import httpx
import psycopg
import pytest

from chassis import clock, ids
from chassis.context import Caller, CallerKind, Request, enter
from chassis.database import Database, unit_of_work
from kith.crm.v1 import search_misses_pb2 as pb
from kith.crm.v1 import search_misses_pb2_grpc, search_pb2, search_pb2_grpc
from kith.crm.v1.parts_pb2 import RecordKind
from services.crm.search_misses import rules, store
from services.crm.search_misses.jobs import Forgetting
from services.crm.search_misses.store import Miss
from tests.conftest import Channel, Dsn, Join, Person, Register
from tests.service.calls import As, all_pages, refused
from tests.service.crm.conftest import MakeContact

CONTACT, COMPANY = RecordKind.RECORD_KIND_CONTACT, RecordKind.RECORD_KIND_COMPANY
PATIENCE = 120.0

Reported = Callable[..., Awaitable[list[pb.SearchMiss]]]


@pytest.fixture
def misses_of(channel: Channel) -> Callable[[Person], Any]:
    stub = search_misses_pb2_grpc.SearchMissServiceStub(channel("crm"))
    return lambda person: As(stub, person)


@pytest.fixture
def misses(misses_of: Callable[[Person], Any], owner: Person) -> Any:
    """SearchMissService as the owner."""
    return misses_of(owner)


@pytest.fixture
def search(channel: Channel, owner: Person) -> Callable[..., Awaitable[Any]]:
    """`await search("ann")` searches as the owner, or as somebody else, and returns what was found."""
    stub = search_pb2_grpc.SearchServiceStub(channel("crm"))

    async def ask(query: str, person: Person = owner, **more: Any) -> Any:
        return (await As(stub, person).Search(search_pb2.SearchRequest(query=query, **more))).results

    return ask


@pytest.fixture
def reported(misses: Any) -> Reported:
    """`await reported(2)` returns the report once it has so many entries; it is written some seconds after the searches."""

    async def wait(entries: int, **more: Any) -> list[pb.SearchMiss]:
        end = time.monotonic() + PATIENCE
        while True:
            found = list((await misses.ListSearchMisses(pb.ListSearchMissesRequest(**more))).search_misses)
            if len(found) >= entries:
                return found
            assert time.monotonic() < end, found
            await asyncio.sleep(0.2)

    return wait


@pytest.fixture
def add(dsn: Dsn, owner: Person) -> Callable[..., Awaitable[None]]:
    """`await add("zoe", count=3)` writes an entry as the service does, without the wait."""

    async def write(*queries: str, count: int = 1, days_ago: float = 0, people: int = 1) -> None:
        at = clock.now() - timedelta(days=days_ago)
        async with Database(dsn("crm", "runtime"), size=1) as database:
            enter(Request(request_id=ids.new(), database=database, caller=_crm(owner.tenant_id), origin="test"))
            async with unit_of_work() as work:
                await store.add(work, [_miss(query, count, at, people) for query in queries])

    return write


def _crm(tenant_id: str = "") -> Caller:
    return Caller(kind=CallerKind.SERVICE, service="crm", tenant_id=tenant_id)


def _miss(query: str, count: int, at: Any, people: int) -> Miss:
    words = rules.words(query)
    key = rules.key(words, [CONTACT])
    numbers = {rules.person(f"person {number}", key) for number in range(people)}
    return Miss(key=key, query=query, words=words, kinds=[CONTACT], first=at, last=at, count=count, people=numbers)


async def test_a_vain_search_is_reported_with_what_was_typed_and_by_how_many(
    search: Any, reported: Reported, join: Join, owner: Person, make_contact: MakeContact
) -> None:
    await make_contact(given_name="Ann")
    member = await join(owner, "member")
    for query in ("zo", "zoe", "Zoë L", "Ann", "nobody", "x"):
        await search(query)
    await search("l ZOE", member)
    await search("nobody", member, kinds=[COMPANY])
    found = {miss.query: miss for miss in await reported(3)}
    assert sorted(found) == ["l ZOE", "nobody"]
    zoe = found["l ZOE"]
    assert (list(zoe.words), sorted(zoe.kinds), zoe.miss_count, zoe.people_count, zoe.found_now) == (
        ["l", "zoe"], sorted([CONTACT, COMPANY]), 2, 2, False,
    )  # fmt: skip
    assert zoe.create_time.ToDatetime() < zoe.update_time.ToDatetime()


async def test_suggestions_and_those_who_may_read_nothing_leave_no_trace(
    search: Any, reported: Reported, join: Join, owner: Person, channel: Channel
) -> None:
    suggest = As(search_pb2_grpc.SearchServiceStub(channel("crm")), owner)
    await suggest.Suggest(search_pb2.SuggestRequest(query="never suggested"))
    await search("never read", await join(owner, "billing"))
    await search("the last one")
    assert [miss.query for miss in await reported(1)] == ["the last one"]


async def test_what_is_searched_for_again_is_counted_in_its_entry(add: Any, misses: Any) -> None:
    await add("zoe lee", "bob")
    await add("Lee ZOE", count=2, people=3)
    report = (await misses.ListSearchMisses(pb.ListSearchMissesRequest())).search_misses
    assert [(miss.query, miss.miss_count, miss.people_count, miss.etag) for miss in report] == [
        ("Lee ZOE", 3, 3, '"2"'),
        ("bob", 1, 1, '"1"'),
    ]


async def test_an_entry_says_when_it_is_found_now(add: Any, misses: Any, make_contact: MakeContact) -> None:
    await add("zoe lee", "nobody")
    await make_contact(given_name="Zoë", family_name="Lee")
    report = (await misses.ListSearchMisses(pb.ListSearchMissesRequest())).search_misses
    assert {miss.query: miss.found_now for miss in report} == {"zoe lee": True, "nobody": False}


async def test_the_report_is_read_page_by_page_in_its_orders(add: Any, misses: Any) -> None:
    for number, name in enumerate(("ann", "bob", "cid", "dan", "eve"), 1):
        await add(name, count=number % 3, days_ago=number)

    async def names(**more: Any) -> list[str]:
        return [miss.query for miss in await all_pages(misses.ListSearchMisses, pb.ListSearchMissesRequest(**more), "search_misses")]

    assert await names(page_size=2) == ["eve", "bob", "dan", "ann", "cid"]
    assert await names(page_size=2, order_by="update_time desc") == ["ann", "bob", "cid", "dan", "eve"]
    assert await names(filter="miss_count >= 1", order_by="create_time") == ["eve", "dan", "bob", "ann"]


async def test_an_entry_is_deleted_and_the_report_emptied(add: Any, misses: Any) -> None:
    await add("ann", "bob", "cid")
    first, *others = (await misses.ListSearchMisses(pb.ListSearchMissesRequest())).search_misses
    assert (await refused(misses.DeleteSearchMiss(pb.DeleteSearchMissRequest(id=first.id, etag='"9"')))).reason == "ETAG_MISMATCH"
    await misses.DeleteSearchMiss(pb.DeleteSearchMissRequest(id=first.id, etag=first.etag))
    assert (await refused(misses.DeleteSearchMiss(pb.DeleteSearchMissRequest(id=first.id)))).reason == "NOT_FOUND"
    assert list((await misses.ListSearchMisses(pb.ListSearchMissesRequest())).search_misses) == others
    assert (await misses.PurgeSearchMisses(pb.PurgeSearchMissesRequest())).purged_count == 2
    assert not (await misses.ListSearchMisses(pb.ListSearchMissesRequest())).search_misses


async def test_admins_alone_see_the_report_of_their_own_organisation(
    add: Any, misses_of: Callable[[Person], Any], join: Join, owner: Person, register: Register
) -> None:
    await add("zoe")
    admin, manager, stranger = await join(owner, "admin"), await join(owner, "manager"), await register()
    assert len((await misses_of(admin).ListSearchMisses(pb.ListSearchMissesRequest())).search_misses) == 1
    refusal = await refused(misses_of(manager).ListSearchMisses(pb.ListSearchMissesRequest()))
    assert (refusal.reason, refusal.metadata["permission"]) == ("PERMISSION_MISSING", "CRM_SEARCH_MISSES_READ")
    assert (await refused(misses_of(manager).PurgeSearchMisses(pb.PurgeSearchMissesRequest()))).reason == "PERMISSION_MISSING"
    assert (await misses_of(stranger).PurgeSearchMisses(pb.PurgeSearchMissesRequest())).purged_count == 0
    assert len((await misses_of(admin).ListSearchMisses(pb.ListSearchMissesRequest())).search_misses) == 1


async def test_what_nobody_searches_for_any_more_is_forgotten(add: Any, misses: Any, owner: Person, dsn: Dsn) -> None:
    await add("old", days_ago=31)
    await add("again", days_ago=31)
    await add("again", "fresh", days_ago=29)
    async with Database(dsn("crm", "runtime"), size=1) as database:
        enter(Request(request_id=ids.new(), database=database, caller=_crm(), origin="forget_search_misses"))
        await Forgetting(30).forget_search_misses()
    report = (await misses.ListSearchMisses(pb.ListSearchMissesRequest())).search_misses
    assert sorted(miss.query for miss in report) == ["again", "fresh"]


async def test_of_too_many_entries_the_latest_are_kept_and_people_are_counted_up_to_a_number(
    add: Any, misses: Any, owner: Person, dsn: Dsn
) -> None:
    await add(*(f"name{number}" for number in range(rules.KEPT)), days_ago=1)
    await add("last", people=80)
    await add("last", people=150)
    with psycopg.connect(dsn("crm", "migrator")) as migrator:
        row = migrator.execute("SELECT count(*) FROM search_misses WHERE tenant_id = %s", [owner.tenant_id]).fetchone()
    assert row == (rules.KEPT,)
    report = (await misses.ListSearchMisses(pb.ListSearchMissesRequest(order_by="update_time desc", page_size=1))).search_misses
    assert [(miss.query, miss.people_count) for miss in report] == [("last", rules.PEOPLE)]


async def test_the_report_leaves_neither_event_nor_what_was_typed_in_the_trail(add: Any, misses: Any, owner: Person, dsn: Dsn) -> None:
    await add("zoe", "lee")
    one, _ = (await misses.ListSearchMisses(pb.ListSearchMissesRequest())).search_misses
    await misses.DeleteSearchMiss(pb.DeleteSearchMissRequest(id=one.id))
    await misses.PurgeSearchMisses(pb.PurgeSearchMissesRequest())
    with psycopg.connect(dsn("crm", "migrator")) as migrator:
        trail = migrator.execute("SELECT to_jsonb(a)::text FROM audit_log a WHERE tenant_id = %s", [owner.tenant_id]).fetchall()
        events = migrator.execute("SELECT count(*) FROM outbox WHERE tenant_id = %s", [owner.tenant_id]).fetchone()
    assert (len(trail), events) == (2, (0,))
    assert not any(word in line for (line,) in trail for word in ("zoe", "lee"))


async def test_the_report_speaks_rest(add: Any, edge: httpx.AsyncClient, owner: Person) -> None:
    await add("Zoë Lee")
    answer = await edge.get("/v1/search/misses", params={"order_by": "update_time desc"}, headers=owner.headers)
    (miss,) = answer.json()["searchMisses"]
    shown = {name: miss[name] for name in ("query", "words", "kinds", "missCount", "peopleCount")}
    kinds = ["RECORD_KIND_CONTACT"]
    assert shown == {"query": "Zoë Lee", "words": ["lee", "zoe"], "kinds": kinds, "missCount": 1, "peopleCount": 1}
    assert (await edge.delete(f"/v1/search/misses/{miss['id']}", headers=owner.headers)).status_code == 200
    answer = await edge.post("/v1/search/misses:purge", json={}, headers=owner.headers)
    assert answer.json() in ({}, {"purgedCount": 0})
