"""The search (CRM-5) from outside: what is found, in which order, by whom, and what no longer is."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any, ClassVar
from unittest.mock import AsyncMock

import grpc
import httpx
import psycopg
import pytest

from chassis import ids
from chassis.context import Caller, CallerKind, Request, enter
from chassis.database import Database, UnitOfWork, unit_of_work
from chassis.tokens import permissions
from kith.crm.v1 import companies_pb2, contacts_pb2, search_pb2, search_pb2_grpc
from kith.crm.v1.parts_pb2 import RecordKind
from kith.options.v1.permissions_pb2 import PERMISSION_CRM_COMPANIES_READ, PERMISSION_CRM_CONTACTS_READ
from services.crm.companies.actions import Companies
from services.crm.contacts.actions import Contacts
from services.crm.search import rules, store
from services.crm.search.actions import Box, Change, Kind, follow
from services.crm.search.rules import Entry
from services.crm.tenants.actions import Regions
from stack.wiring import Wiring
from tests import running
from tests.conftest import Channel, Dsn, Join, Person, Register
from tests.service.crm.conftest import As, Contact, MakeCompany, MakeContact, refused

Find = Callable[..., Any]
CONTACT = RecordKind.RECORD_KIND_CONTACT
COMPANY = RecordKind.RECORD_KIND_COMPANY


@pytest.fixture
def search_of(channel: Channel) -> Callable[[Person], Any]:
    stub = search_pb2_grpc.SearchServiceStub(channel("crm"))
    return lambda person: As(stub, person)


@pytest.fixture
def find(search_of: Callable[[Person], Any], owner: Person) -> Find:
    """`await find("ann")` returns the titles that the owner finds."""

    async def ask(query: str, **more: Any) -> list[str]:
        answer = await search_of(owner).Search(search_pb2.SearchRequest(query=query, **more))
        return [result.title for result in answer.results]

    return ask


@pytest.fixture
def suggest(search_of: Callable[[Person], Any], owner: Person) -> Find:
    async def ask(query: str, **more: Any) -> list[str]:
        answer = await search_of(owner).Suggest(search_pb2.SuggestRequest(query=query, **more))
        return [suggestion.title for suggestion in answer.suggestions]

    return ask


@pytest.mark.parametrize(
    "query",
    ["5551234567", "555-123-4567", "(555) 123 4567", "+1 555.123.4567", "1234567", "4567", "15551234567", "555123", "001 555 123 4567"],
)
async def test_a_number_is_found_by_its_digits_in_any_punctuation(find: Find, make_contact: MakeContact, query: str) -> None:
    await make_contact(given_name="Ann", phones=[{"number": "+1 555-123-4567"}])
    await make_contact(given_name="Bob", phones=[{"number": "+1 555-765-4321"}])
    assert await find(query) == ["Ann"]


@pytest.mark.parametrize(
    "query", ["ann.lee@example.com", "ann.lee", "lee@ex", "example.com", "EXAMPLE", "ann lee example", "@example.com", "@exam"]
)
async def test_an_email_is_found_by_its_parts(find: Find, make_contact: MakeContact, query: str) -> None:
    await make_contact(given_name="", emails=[{"address": "Ann.Lee@example.com"}])
    await make_contact(given_name="", emails=[{"address": "bob@example.org"}])
    assert (await find(query))[-1:] == ["Ann.Lee@example.com"]


@pytest.mark.parametrize("query", ["francois", "FRANÇOIS", "franç", "müller francois", "fran mul"])
async def test_accents_and_case_do_not_matter(find: Find, make_contact: MakeContact, query: str) -> None:
    await make_contact(given_name="François", family_name="Muller")
    assert await find(query) == ["François Muller"]


async def test_whole_words_come_before_beginnings_names_before_others_and_recent_before_old(find: Find, make_contact: MakeContact) -> None:
    await make_contact(given_name="Old Lee")
    await make_contact(given_name="Recent Lee")
    await make_contact(given_name="Leeds")
    await make_contact(given_name="Mail", emails=[{"address": "lee.mail@example.com"}])
    assert await find("lee") == ["Recent Lee", "Old Lee", "Leeds", "Mail"]


async def test_two_words_are_both_wanted_and_ranked_together(find: Find, make_contact: MakeContact) -> None:
    await make_contact(given_name="Anna", family_name="Leeds")
    await make_contact(given_name="Ann", family_name="Lee")
    await make_contact(given_name="Lee", family_name="Annable")
    await make_contact(given_name="Ann", family_name="Berg")
    await make_contact(given_name="Bob", emails=[{"address": "ann.lee@example.com"}])
    assert await find("ann lee") == ["Ann Lee", "Lee Annable", "Anna Leeds", "Bob"]
    assert await find("lee ann") == await find("ann lee")
    assert await find("ann lee berg") == []


async def test_one_box_finds_all_kinds_and_says_what_it_found(
    search_of: Callable[[Person], Any], owner: Person, make_contact: MakeContact, make_company: MakeCompany
) -> None:
    company = await make_company(name="Acme", domain="acme.example", phones=[{"number": "555-123-4567"}])
    contact = await make_contact(given_name="Ann", family_name="Acme", title="Boss")
    answer = await search_of(owner).Search(search_pb2.SearchRequest(query="acme"))
    assert [(each.kind, each.id, each.title, each.subtitle) for each in answer.results] == [
        (CONTACT, contact.id, "Ann Acme", "Boss"),
        (COMPANY, company.id, "Acme", "acme.example"),
    ]
    for query, field in (("acme.example", "DOMAIN"), ("4567", "PHONE"), ("acm", "NAME")):
        answer = await search_of(owner).Search(search_pb2.SearchRequest(query=query, kinds=[COMPANY]))
        assert [(each.id, search_pb2.SearchField.Name(each.matched_field)) for each in answer.results] == [
            (company.id, f"SEARCH_FIELD_{field}")
        ]


async def test_a_caller_finds_what_they_may_read(
    edge: httpx.AsyncClient, join: Join, owner: Person, make_contact: MakeContact, make_company: MakeCompany
) -> None:
    await make_contact(given_name="Acme")
    await make_company(name="Acme")
    for role, kinds in (("read_only", ["RECORD_KIND_COMPANY", "RECORD_KIND_CONTACT"]), ("billing", [])):
        person = await join(owner, role)
        answer = await edge.get("/v1/search", params={"query": "acme"}, headers=person.headers)
        assert sorted(each["kind"] for each in answer.json()["results"]) == kinds
        answer = await edge.get("/v1/search:suggest", params={"query": "acme"}, headers=person.headers)
        assert sorted(each["kind"] for each in answer.json()["suggestions"]) == kinds


@pytest.mark.parametrize(("permission", "kind"), [(PERMISSION_CRM_CONTACTS_READ, CONTACT), (PERMISSION_CRM_COMPANIES_READ, COMPANY)])
async def test_a_caller_with_one_permission_finds_one_kind(
    owner: Person, make_contact: MakeContact, make_company: MakeCompany, dsn: Dsn, permission: int, kind: int
) -> None:
    await make_contact(given_name="Acme")
    await make_company(name="Acme")
    async with work_of(dsn, owner, permission) as work:
        hits = await box().find(work, "acme", [], most=1_000, size=20)
        other = await box().find(work, "acme", [CONTACT + COMPANY - kind], most=1_000, size=20)
    assert [hit.kind for hit in hits.values()] == [kind]
    assert other == {}


@pytest.mark.parametrize("counted", [6, store.COUNTED])
async def test_an_old_record_with_two_frequent_words_is_found_when_few_records_may_be_looked_at(
    owner: Person, make_contact: MakeContact, dsn: Dsn, monkeypatch: pytest.MonkeyPatch, counted: int
) -> None:
    monkeypatch.setattr(store, "FEW", 2)
    monkeypatch.setattr(store, "COUNTED", counted)
    for name in ("Ann Lee Old", "Ann Leeds", "Ann Berg", "Bob Lee", "Ann Berg", "Bob Lee", "Ann Berg", "Bob Lee"):
        await make_contact(given_name=name)
    async with work_of(dsn, owner, PERMISSION_CRM_CONTACTS_READ) as work:
        found = {
            (query, most): [hit.entry.title for hit in (await box().find(work, query, [], most=most, size=20)).values()]
            for query in ("ann lee", "lee ann", "ann lee ol")
            for most in (2, 4, 1_000)
        }
    assert {titles[0] for titles in found.values()} == {"Ann Lee Old"}
    assert found["ann lee", 1_000] == found["lee ann", 1_000] == ["Ann Lee Old", "Ann Leeds"]
    assert found["ann lee ol", 1_000] == ["Ann Lee Old"]


async def test_a_noun_to_come_joins_the_box_with_its_entries(owner: Person, make_contact: MakeContact, dsn: Dsn) -> None:
    """What a noun must bring: its name, and entries by id. It may keep its records as it likes."""

    class Deals:
        noun = "deal"
        kept: ClassVar[dict[str, Entry]] = {ids.new(): Entry("Acme Roof", "open", rules.name_tokens("Acme Roof"))}

        async def entries(self, work: UnitOfWork, ids: Sequence[str]) -> dict[str, Entry]:
            return {each: self.kept[each] for each in ids if each in self.kept}

    deal = 99
    contact = Kind(CONTACT, PERMISSION_CRM_CONTACTS_READ, Contacts(Regions(AsyncMock())))
    both = Box([contact, Kind(RecordKind.ValueType(deal), PERMISSION_CRM_CONTACTS_READ, Deals())])
    (deal_id,) = Deals.kept
    await make_contact(given_name="Ann", family_name="Acme")
    async with work_of(dsn, owner, PERMISSION_CRM_CONTACTS_READ) as work:
        await follow(work, "deal", [Change(deal_id, None, Deals.kept[deal_id])])
        found = await both.find(work, "acme", [], most=1_000, size=20)
        assert sorted(hit.entry.title for hit in found.values()) == ["Acme Roof", "Ann Acme"]
        assert (await both.find(work, "roof ac", [], most=1_000, size=20))[deal_id].kind == deal
        await follow(work, "deal", [Change(deal_id, Deals.kept[deal_id], None)])
        assert not await both.find(work, "roof", [], most=1_000, size=20)
        work.keep_nothing()


async def test_two_organisations_never_meet(
    search_of: Callable[[Person], Any], register: Register, find: Find, suggest: Find, make_contact: MakeContact
) -> None:
    await make_contact(given_name="Ann", phones=[{"number": "555-123-4567"}])
    stranger = search_of(await register())
    for query in ("ann", "4567", "ann 4567", "a"):
        assert await find(query) == await suggest(query) == ["Ann"]
        assert not (await stranger.Search(search_pb2.SearchRequest(query=query))).results
        assert not (await stranger.Suggest(search_pb2.SuggestRequest(query=query))).suggestions


async def test_suggestions_follow_what_is_typed(suggest: Find, make_contact: MakeContact, make_company: MakeCompany) -> None:
    await make_contact(given_name="Ann", family_name="Lee")
    await make_contact(given_name="Ann", family_name="Lee")
    await make_contact(given_name="Anna")
    await make_company(name="Annex")
    assert await suggest("ann") == ["Ann Lee", "Annex", "Anna"]
    assert await suggest("anne") == ["Annex"]
    assert await suggest("ann l") == ["Ann Lee"]
    assert await suggest("an", kinds=[COMPANY]) == ["Annex"]
    for number in range(9):
        await make_company(name=f"Anton {number}")
    assert await suggest("anto") == [f"Anton {number}" for number in range(8, 0, -1)]


async def test_a_changed_record_is_found_by_what_it_is_now(find: Find, contacts: Any, make_contact: MakeContact) -> None:
    made = await make_contact(given_name="Ann", emails=[{"address": "ann@example.com"}])
    changed = Contact(id=made.id, given_name="Bea", emails=[{"address": "bea@example.com"}])
    await contacts.UpdateContact(contacts_pb2.UpdateContactRequest(contact=changed))
    assert [await find(query) for query in ("ann", "bea", "example")] == [[], ["Bea"], ["Bea"]]


async def test_a_deleted_record_is_not_found_until_it_is_restored(
    find: Find, suggest: Find, contacts: Any, companies: Any, make_contact: MakeContact, make_company: MakeCompany
) -> None:
    contact, company = await make_contact(given_name="Acme"), await make_company(name="Acme")
    await contacts.DeleteContact(contacts_pb2.DeleteContactRequest(id=contact.id))
    await companies.BatchDeleteCompanies(companies_pb2.BatchDeleteCompaniesRequest(requests=[{"id": company.id}]))
    assert await find("acme") == await suggest("acme") == []
    await contacts.RestoreContact(contacts_pb2.RestoreContactRequest(id=contact.id))
    await companies.RestoreCompany(companies_pb2.RestoreCompanyRequest(id=company.id))
    assert await find("acme") == ["Acme", "Acme"]


async def test_a_deleted_record_leaves_no_token_for_its_purge(contacts: Any, make_contact: MakeContact, owner: Person, dsn: Dsn) -> None:
    made = await make_contact(given_name="Ann")
    assert tokens(dsn, owner, made.id)
    await contacts.DeleteContact(contacts_pb2.DeleteContactRequest(id=made.id))
    assert tokens(dsn, owner, made.id) == []


async def test_of_concurrent_updates_the_last_one_is_found(
    find: Find, contacts: Any, make_contact: MakeContact, owner: Person, dsn: Dsn
) -> None:
    made = await make_contact(given_name="Ann")
    updates = [contacts_pb2.UpdateContactRequest(contact=Contact(id=made.id, given_name=f"Name{number:02} Ann")) for number in range(20)]
    await asyncio.gather(*(contacts.UpdateContact(update) for update in updates))
    last = (await contacts.GetContact(contacts_pb2.GetContactRequest(id=made.id))).given_name
    assert tokens(dsn, owner, made.id) == sorted(last.lower().split())
    assert [await find(update.contact.given_name) for update in updates].count([last]) == 1


async def test_what_is_validated_only_is_not_found(find: Find, contacts: Any) -> None:
    await contacts.CreateContact(contacts_pb2.CreateContactRequest(contact=Contact(given_name="Ann"), validate_only=True))
    assert await find("ann") == []


@pytest.mark.parametrize("query", ["x" * 201, "a b c d e f g h i", "a\0b"])
async def test_a_query_has_limits(search_of: Callable[[Person], Any], owner: Person, query: str) -> None:
    for call in (
        search_of(owner).Search(search_pb2.SearchRequest(query=query)),
        search_of(owner).Suggest(search_pb2.SuggestRequest(query=query)),
    ):
        refusal = await refused(call)
        assert (refusal.code, refusal.reason, refusal.fields) == (grpc.StatusCode.INVALID_ARGUMENT, "FIELD_INVALID", ["query"])


@pytest.mark.parametrize("query", ["", "  ", "???", "😀", "%", "_", "\\", "' OR 1=1 --", "$1", "%(query)s"])
async def test_a_query_without_words_finds_nothing(find: Find, suggest: Find, make_contact: MakeContact, query: str) -> None:
    await make_contact(given_name="Ann")
    assert await find(query) == await suggest(query) == []


async def test_the_page_has_its_size(find: Find, make_contact: MakeContact) -> None:
    await asyncio.gather(*(make_contact(given_name=f"Ann {number}") for number in range(22)))
    assert [len(await find("ann", page_size=size)) for size in (0, 3, 200)] == [20, 3, 22]


async def test_the_search_speaks_rest(edge: httpx.AsyncClient, owner: Person, make_contact: MakeContact) -> None:
    made = await make_contact(given_name="Ann", family_name="Lee", phones=[{"number": "+1 555-123-4567"}])
    query = {"query": "5551234567 ann", "kinds": "RECORD_KIND_CONTACT", "page_size": "5"}
    answer = await edge.get("/v1/search", params=query, headers=owner.headers)
    shown = {"kind": "RECORD_KIND_CONTACT", "id": made.id, "title": "Ann Lee"}
    assert answer.json() == {"results": [{**shown, "subtitle": "+1 555-123-4567", "matchedField": "SEARCH_FIELD_NAME"}]}
    answer = await edge.get("/v1/search:suggest", params={"query": "an"}, headers=owner.headers)
    assert answer.json() == {"suggestions": [shown]}
    assert (await edge.get("/v1/search?query=ann")).status_code == 401


async def test_records_from_before_the_search_are_found_after_a_reindex(
    platform: Wiring, find: Find, make_contact: MakeContact, make_company: MakeCompany, dsn: Dsn
) -> None:
    kept, (old, unfound) = (
        await make_company(name="Acme Kept"),
        [await make_contact(given_name=f"Acme {name}") for name in ("Old", "Unfound")],
    )
    with psycopg.connect(dsn("crm", "migrator")) as migrator:
        migrator.execute("UPDATE search_tokens SET version = 0, token = 'x' || token WHERE entity_id = %s", [old.id])
        migrator.execute("DELETE FROM search_tokens WHERE entity_id = %s", [unfound.id])
    assert await find("acme") == [kept.name]
    kith = await asyncio.create_subprocess_exec(running.KITH, "reindex", "--data", str(platform.layout.data))
    assert await kith.wait() == 0
    assert await find("acme") == ["Acme Unfound", "Acme Old", "Acme Kept"]
    assert await find("xacme") == []


def box() -> Box:
    """The box as the service has it."""
    regions = Regions(AsyncMock())
    return Box(
        [
            Kind(CONTACT, PERMISSION_CRM_CONTACTS_READ, Contacts(regions)),
            Kind(COMPANY, PERMISSION_CRM_COMPANIES_READ, Companies(regions)),
        ]
    )


@asynccontextmanager
async def work_of(dsn: Dsn, owner: Person, permission: int) -> AsyncIterator[UnitOfWork]:
    """Open a unit of work with the service's own rights, as somebody with one permission."""
    caller = Caller(kind=CallerKind.USER, tenant_id=owner.tenant_id, permissions=permissions.of([permission]))
    async with Database(dsn("crm", "runtime"), size=1) as database:
        enter(Request(request_id=ids.new(), database=database, caller=caller))
        async with unit_of_work() as work:
            yield work


def tokens(dsn: Dsn, owner: Person, record_id: str) -> list[str]:
    statement = "SELECT token FROM search_tokens WHERE tenant_id = %s AND entity_id = %s ORDER BY token"
    with psycopg.connect(dsn("crm", "migrator")) as migrator:
        return [row[0] for row in migrator.execute(statement, [owner.tenant_id, record_id])]
