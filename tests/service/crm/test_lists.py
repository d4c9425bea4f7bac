"""Lists of contacts: orders, pages, filters and their refusals (CRM-4)."""

import asyncio
from collections.abc import Callable
from typing import Any

import grpc
import pytest

from kith.crm.v1 import contacts_pb2 as pb
from tests.conftest import Person, Register
from tests.service.calls import all_pages
from tests.service.crm.conftest import Contact, MakeContact, refused

NAMES = ["ann", "Ann", "Änn", "bob", "Bob Lee", "ångström", "Zoë", "zed", "O'Neil", "李"]


def _moment(moment: Any) -> tuple[int, int]:
    return moment.seconds, moment.nanos


def _folded(contact: Contact) -> str:
    plain = {"ä": "a", "å": "a", "ö": "o", "ë": "e"}
    return "".join(plain.get(character, character) for character in contact.display_name.lower())


ORDERS: dict[str, Callable[[Contact], Any]] = {
    "display_name": _folded,
    "create_time": lambda contact: _moment(contact.create_time),
    "update_time": lambda contact: _moment(contact.update_time),
}


@pytest.mark.parametrize("suffix", ["", " desc"])
@pytest.mark.parametrize("order", ORDERS)
async def test_pages_are_the_sorted_whole_while_others_insert(contacts: Any, make_contact: MakeContact, order: str, suffix: str) -> None:
    made = await asyncio.gather(*(make_contact(given_name=NAMES[number % len(NAMES)]) for number in range(60)))
    for each in made[::7]:
        await contacts.UpdateContact(pb.UpdateContactRequest(contact=Contact(id=each.id, title="Boss")))
    stop = asyncio.Event()

    async def insert() -> None:
        while not stop.is_set():
            await make_contact(given_name="mid", source="meanwhile")

    inserting = asyncio.create_task(insert())
    request = pb.ListContactsRequest(page_size=7, order_by=order + suffix)
    seen = await all_pages(contacts.ListContacts, request, "contacts")
    stop.set()
    await inserting
    assert len({each.id for each in seen}) == len(seen)
    first = [each for each in seen if each.source != "meanwhile"]
    assert {each.id for each in first} == {each.id for each in made}
    keys = [(ORDERS[order](each), each.id) for each in seen]
    assert keys == sorted(keys, reverse=bool(suffix))


async def test_a_list_begins_with_the_newest_and_has_twenty_rows(contacts: Any, make_contact: MakeContact) -> None:
    made = [await make_contact() for _ in range(21)]
    page = await contacts.ListContacts(pb.ListContactsRequest())
    assert [each.id for each in page.contacts] == [each.id for each in made[:0:-1]]
    assert page.next_page_token


async def test_the_last_page_has_no_token(contacts: Any, make_contact: MakeContact) -> None:
    for _ in range(4):
        await make_contact()
    page = await contacts.ListContacts(pb.ListContactsRequest(page_size=2))
    last = await contacts.ListContacts(pb.ListContactsRequest(page_size=2, page_token=page.next_page_token))
    assert (len(last.contacts), last.next_page_token) == (2, "")


@pytest.mark.parametrize(
    "changed",
    [{"filter": "status = CONTACT_STATUS_ACTIVE"}, {"order_by": "display_name"}, {"order_by": "create_time"}, {"show_deleted": True}],
)
async def test_a_page_token_belongs_to_its_list(contacts: Any, make_contact: MakeContact, changed: dict[str, Any]) -> None:
    for _ in range(2):
        await make_contact()
    token = (await contacts.ListContacts(pb.ListContactsRequest(page_size=1))).next_page_token
    refusal = await refused(contacts.ListContacts(pb.ListContactsRequest(page_token=token, **changed)))
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "PAGE_TOKEN_MISMATCH")


async def test_a_page_token_belongs_to_its_organisation(
    contacts: Any, contacts_of: Callable[[Person], Any], register: Register, make_contact: MakeContact
) -> None:
    for _ in range(2):
        await make_contact()
    token = (await contacts.ListContacts(pb.ListContactsRequest(page_size=1))).next_page_token
    stranger = contacts_of(await register())
    assert (await refused(stranger.ListContacts(pb.ListContactsRequest(page_token=token)))).reason == "PAGE_TOKEN_MISMATCH"


@pytest.mark.parametrize(
    ("wrong", "reason", "field"),
    [
        ({"page_token": "x"}, "PAGE_TOKEN_INVALID", "page_token"),
        ({"page_size": -1}, "FIELD_INVALID", "page_size"),
        ({"order_by": "shoe_size"}, "ORDER_INVALID", "order_by"),
        ({"order_by": "display_name asc"}, "ORDER_INVALID", "order_by"),
        ({"order_by": "display_name, create_time"}, "ORDER_INVALID", "order_by"),
        ({"filter": "display_name ="}, "FILTER_INVALID", "filter"),
        ({"filter": "shoe_size = 42"}, "UNKNOWN_FIELD", "filter"),
        ({"filter": "phone = nobody"}, "FILTER_INVALID", "filter"),
    ],
)
async def test_what_cannot_be_listed_is_refused(contacts: Any, wrong: dict[str, Any], reason: str, field: str) -> None:
    refusal = await refused(contacts.ListContacts(pb.ListContactsRequest(**wrong)))
    assert (refusal.code, refusal.reason, refusal.fields) == (grpc.StatusCode.INVALID_ARGUMENT, reason, [field])


@pytest.fixture
async def three(make_contact: MakeContact, owner: Person) -> dict[str, Contact]:
    """Three contacts that differ in everything."""
    return {
        "ann": await make_contact(given_name="Ann", emails=[{"address": "ann@example.com"}], title="Boss", source="fair"),
        "bob": await make_contact(given_name="Bób", phones=[{"number": "+1 555 123 4567"}], department="Sales", status=2),
        "cid": await make_contact(given_name="Cid", emails=[{"address": "cid@example.org"}], status=3, last_contacted_time={"seconds": 1}),
    }


@pytest.mark.parametrize(
    ("filter_text", "expected"),
    [
        ("", "ann bob cid"),
        ('display_name = "BOB"', "bob"),
        ('display_name = "b*"', "bob"),
        ("display_name >= b", "bob cid"),
        ('email = "ANN@example.com"', "ann"),
        ('email = "ann@*" OR email = "cid@*"', "ann cid"),
        ("email:*", "ann cid"),
        ("NOT email:*", "bob"),
        ('email != "ann@example.com"', "bob cid"),
        ("phone = 5551234567", "bob"),
        ("title = Boss AND source = fair", "ann"),
        ("title = boss", ""),
        ("department = Sales OR title = Boss", "ann bob"),
        ("-department = Sales", "ann cid"),
        ("department:*", "bob"),
        ("status = CONTACT_STATUS_ACTIVE", "ann"),
        ("status != CONTACT_STATUS_ACTIVE", "bob cid"),
        ("last_contacted_time:*", "cid"),
        ("NOT last_contacted_time > 2000-01-01T00:00:00Z", "ann bob cid"),
        ("create_time > 2000-01-01T00:00:00Z", "ann bob cid"),
        ("company_id:*", ""),
        ('company_id = ""', "ann bob cid"),
        ("owner_id:*", "ann bob cid"),
    ],
)
async def test_a_filter_chooses_contacts(contacts: Any, three: dict[str, Contact], filter_text: str, expected: str) -> None:
    found = await contacts.ListContacts(pb.ListContactsRequest(filter=filter_text, order_by="display_name"))
    names = {contact.id: name for name, contact in three.items()}
    assert [names[each.id] for each in found.contacts] == expected.split()
