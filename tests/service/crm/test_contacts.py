"""Contacts through gRPC: CRM-1 to CRM-4 and CRM-9."""

import asyncio
import uuid
from datetime import UTC, datetime
from typing import Any

import grpc
import pytest
from google.protobuf.field_mask_pb2 import FieldMask

from kith.crm.v1 import contacts_pb2 as pb
from tests.conftest import Join, Person
from tests.service.calls import all_pages
from tests.service.crm.conftest import Contact, MakeCompany, MakeContact, Refused, refused

NOBODY = "00000000-0000-7000-8000-000000000000"


async def test_a_contact_is_read_as_it_was_created(
    contacts: Any, owner: Person, make_contact: MakeContact, make_company: MakeCompany
) -> None:
    company = await make_company()
    made = await make_contact(
        given_name="Ann",
        family_name="Lee",
        emails=[{"address": "Ann@EXAMPLE.com", "label": "work"}],
        phones=[{"number": "555 123 4567"}],
        title="Head of Sales",
        department="Sales",
        company_id=company.id,
        source="fair",
        address={"lines": ["1 Main Street"], "city": "Springfield", "region": "us"},
        social_profiles=[{"network": "linkedin", "url": "https://www.linkedin.com/in/ann"}],
        tags=["vip"],
        last_contacted_time=datetime(2026, 1, 31, 9, 30, 0, 123_456, tzinfo=UTC),
    )
    assert await contacts.GetContact(pb.GetContactRequest(id=made.id)) == made
    assert (made.etag, made.display_name, made.owner_id) == ('"1"', "Ann Lee", owner.user_id)
    assert made.status == pb.CONTACT_STATUS_ACTIVE
    assert (made.emails[0].address, made.phones[0].e164, made.address.region) == ("Ann@example.com", "+15551234567", "US")
    assert made.create_time == made.update_time


async def test_what_the_server_fills_in_cannot_be_given(contacts: Any, make_contact: MakeContact) -> None:
    made = await make_contact(id=str(uuid.uuid4()), etag='"9"', display_name="Somebody else")
    assert (made.etag, made.display_name) == ('"1"', "Ann")


async def test_validate_only_answers_and_keeps_nothing(contacts: Any) -> None:
    answered = await contacts.CreateContact(pb.CreateContactRequest(contact=Contact(given_name="Ann"), validate_only=True))
    assert answered.display_name == "Ann"
    assert (await refused(contacts.GetContact(pb.GetContactRequest(id=answered.id)))).reason == "NOT_FOUND"


async def test_all_that_is_wrong_is_named_by_field_and_nothing_is_kept(contacts: Any) -> None:
    wrong = Contact(title="x" * 101, emails=[{"address": "ann@example.com"}, {"address": "ann"}], tags=[""])
    refusal = await refused(contacts.CreateContact(pb.CreateContactRequest(contact=wrong)))
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "FIELD_INVALID")
    assert refusal.fields == ["title", "emails[1].address", "tags[0]"]
    assert not (await contacts.ListContacts(pb.ListContactsRequest())).contacts


@pytest.mark.parametrize("unknown", [NOBODY, "nobody"])
async def test_an_owner_who_is_no_member_is_refused(contacts: Any, unknown: str) -> None:
    refusal = await refused(contacts.CreateContact(pb.CreateContactRequest(contact=Contact(given_name="Ann", owner_id=unknown))))
    assert (refusal.reason, refusal.domain, refusal.fields) == ("OWNER_UNKNOWN", "crm.kith.dev", ["owner_id"])


async def test_a_member_of_the_organisation_may_own_a_contact(contacts: Any, owner: Person, join: Join, make_contact: MakeContact) -> None:
    colleague = await join(owner, "member")
    async with asyncio.timeout(60):
        while True:  # until the event that the member joined has come
            try:
                made = await make_contact(owner_id=colleague.user_id)
                break
            except grpc.aio.AioRpcError:
                await asyncio.sleep(0.05)
    assert made.owner_id == colleague.user_id


@pytest.mark.parametrize("unknown", [NOBODY, "acme"])
async def test_a_company_that_is_not_there_is_refused(contacts: Any, unknown: str) -> None:
    refusal = await refused(contacts.CreateContact(pb.CreateContactRequest(contact=Contact(given_name="Ann", company_id=unknown))))
    assert (refusal.reason, refusal.fields) == ("COMPANY_UNKNOWN", ["company_id"])


@pytest.mark.parametrize("unknown", [NOBODY, "x", ""])
async def test_what_is_not_there_is_not_found(contacts: Any, unknown: str) -> None:
    for call in (
        contacts.GetContact(pb.GetContactRequest(id=unknown)),
        contacts.UpdateContact(pb.UpdateContactRequest(contact=Contact(id=unknown, title="x"))),
        contacts.DeleteContact(pb.DeleteContactRequest(id=unknown)),
        contacts.RestoreContact(pb.RestoreContactRequest(id=unknown)),
    ):
        refusal = await refused(call)
        assert (refusal.code, refusal.reason) == (grpc.StatusCode.NOT_FOUND, "NOT_FOUND")


async def test_contacts_are_read_in_batches_in_the_order_of_the_ids(contacts: Any, make_contact: MakeContact) -> None:
    made = [await make_contact(given_name=name) for name in ("Ann", "Bob", "Cid")]
    missing = str(uuid.uuid4())
    wanted = [made[2].id, missing, made[0].id, "x", made[2].id]
    answer = await contacts.BatchGetContacts(pb.BatchGetContactsRequest(ids=wanted))
    assert list(answer.contacts) == [made[2], made[0]]
    assert list(answer.missing_ids) == [missing, "x"]
    assert (await refused(contacts.BatchGetContacts(pb.BatchGetContactsRequest(ids=[missing] * 201)))).fields == ["ids"]


async def test_an_update_touches_only_what_its_mask_names(contacts: Any, make_contact: MakeContact) -> None:
    made = await make_contact(title="Clerk", department="Sales", address={"city": "Springfield", "region": "US"})
    wanted = Contact(id=made.id, title="Boss", department="ignored", address={"city": "Shelbyville", "region": "DE"})
    after = await contacts.UpdateContact(pb.UpdateContactRequest(contact=wanted, update_mask=FieldMask(paths=["title", "address.city"])))
    assert (after.title, after.department, after.address.city, after.address.region) == ("Boss", "Sales", "Shelbyville", "US")
    assert (after.etag, after.create_time) == ('"2"', made.create_time)
    assert await contacts.GetContact(pb.GetContactRequest(id=made.id)) == after


async def test_an_update_that_changes_nothing_writes_nothing(contacts: Any, make_contact: MakeContact) -> None:
    made = await make_contact(title="Clerk")
    assert await contacts.UpdateContact(pb.UpdateContactRequest(contact=Contact(id=made.id, title=" Clerk "))) == made


async def test_an_unknown_path_in_a_mask_is_refused(contacts: Any, make_contact: MakeContact) -> None:
    made = await make_contact()
    request = pb.UpdateContactRequest(contact=made, update_mask=FieldMask(paths=["shoe_size"]))
    refusal = await refused(contacts.UpdateContact(request))
    assert (refusal.reason, refusal.metadata["path"]) == ("UNKNOWN_FIELD", "shoe_size")


async def test_a_stale_etag_is_refused_with_who_changed_what_and_nothing_is_written(
    contacts: Any, owner: Person, make_contact: MakeContact
) -> None:
    made = await make_contact()
    await contacts.UpdateContact(pb.UpdateContactRequest(contact=Contact(id=made.id, title="Boss")))
    now = await contacts.UpdateContact(pb.UpdateContactRequest(contact=Contact(id=made.id, tags=["vip"], department="Sales")))
    for call in (
        contacts.UpdateContact(pb.UpdateContactRequest(contact=Contact(id=made.id, etag=made.etag, title="Clerk"))),
        contacts.DeleteContact(pb.DeleteContactRequest(id=made.id, etag=made.etag)),
    ):
        refusal = await refused(call)
        assert (refusal.code, refusal.reason) == (grpc.StatusCode.ABORTED, "ETAG_MISMATCH")
        assert refusal.metadata == {"etag": '"3"', "changedBy": owner.user_id, "changedFields": "title,department,tags"}
    assert await contacts.GetContact(pb.GetContactRequest(id=made.id)) == now


async def test_of_many_writers_with_one_etag_one_succeeds(contacts: Any, make_contact: MakeContact) -> None:
    made = await make_contact()
    calls = [
        contacts.UpdateContact(pb.UpdateContactRequest(contact=Contact(id=made.id, etag=made.etag, title=f"Title {number}")))
        for number in range(10)
    ]
    answers = await asyncio.gather(*calls, return_exceptions=True)
    assert sum(isinstance(answer, Contact) for answer in answers) == 1
    assert (await contacts.GetContact(pb.GetContactRequest(id=made.id))).etag == '"2"'


async def test_a_deleted_contact_is_hidden_found_by_id_and_restored(contacts: Any, make_contact: MakeContact) -> None:
    made = await make_contact()
    await contacts.DeleteContact(pb.DeleteContactRequest(id=made.id, etag=made.etag))
    assert not (await contacts.ListContacts(pb.ListContactsRequest())).contacts
    deleted = await contacts.GetContact(pb.GetContactRequest(id=made.id))
    assert deleted.HasField("delete_time")
    assert list((await contacts.ListContacts(pb.ListContactsRequest(show_deleted=True))).contacts) == [deleted]
    restored = await contacts.RestoreContact(pb.RestoreContactRequest(id=made.id, etag=deleted.etag))
    assert not restored.HasField("delete_time")
    assert restored.etag == '"3"'
    assert list((await contacts.ListContacts(pb.ListContactsRequest())).contacts) == [restored]


async def test_a_deleted_contact_can_only_be_restored_and_a_live_one_cannot(contacts: Any, make_contact: MakeContact) -> None:
    made = await make_contact()
    refusal = await refused(contacts.RestoreContact(pb.RestoreContactRequest(id=made.id)))
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "RECORD_NOT_DELETED")
    await contacts.DeleteContact(pb.DeleteContactRequest(id=made.id))
    for call in (
        contacts.UpdateContact(pb.UpdateContactRequest(contact=Contact(id=made.id, title="Boss"))),
        contacts.DeleteContact(pb.DeleteContactRequest(id=made.id)),
    ):
        refusal = await refused(call)
        assert (refusal.code, refusal.reason, refusal.domain) == (grpc.StatusCode.FAILED_PRECONDITION, "RECORD_DELETED", "crm.kith.dev")


async def test_a_batch_update_answers_row_by_row(contacts: Any, make_contact: MakeContact) -> None:
    made = [await make_contact(given_name=f"Contact {number}") for number in range(5)]
    await contacts.DeleteContact(pb.DeleteContactRequest(id=made[1].id))
    missing = str(uuid.uuid4())
    requests = [
        pb.UpdateContactRequest(contact=Contact(id=made[0].id, title="Boss")),
        pb.UpdateContactRequest(contact=Contact(id=made[1].id, title="Boss")),
        pb.UpdateContactRequest(contact=Contact(id=missing, title="Boss")),
        pb.UpdateContactRequest(contact=Contact(id=made[2].id, etag='"7"', title="Boss")),
        pb.UpdateContactRequest(contact=Contact(id=made[3].id, emails=[{"address": "x"}])),
        pb.UpdateContactRequest(contact=Contact(id=made[4].id, emails=[{"address": "cid@example.com"}])),
    ]
    answer = await contacts.BatchUpdateContacts(pb.BatchUpdateContactsRequest(requests=requests))
    assert [result.HasField("contact") for result in answer.results] == [True, False, False, False, False, True]
    reasons = [Refused(result.status).reason for result in answer.results if result.HasField("status")]
    assert reasons == ["RECORD_DELETED", "NOT_FOUND", "ETAG_MISMATCH", "FIELD_INVALID"]
    assert Refused(answer.results[4].status).fields == ["emails[0].address"]
    assert answer.results[0].contact == await contacts.GetContact(pb.GetContactRequest(id=made[0].id))
    assert await contacts.GetContact(pb.GetContactRequest(id=made[3].id)) == made[3]
    found = await contacts.ListContacts(pb.ListContactsRequest(filter='email = "cid@example.com"'))
    assert [each.id for each in found.contacts] == [made[4].id]


async def test_a_row_of_a_batch_is_refused_as_the_single_call_is(contacts: Any, make_contact: MakeContact) -> None:
    made = await make_contact()
    request = pb.UpdateContactRequest(contact=Contact(id=made.id, tags=["x" * 51], title="x" * 101))
    single = await refused(contacts.UpdateContact(request))
    batch = await contacts.BatchUpdateContacts(pb.BatchUpdateContactsRequest(requests=[request]))
    assert vars(Refused(batch.results[0].status)) == vars(single)


async def test_five_hundred_contacts_are_changed_and_deleted_in_one_call_each(contacts: Any, make_contact: MakeContact) -> None:
    some = [await asyncio.gather(*(make_contact(given_name=f"Contact {turn} {number}") for number in range(50))) for turn in range(10)]
    ids = [made.id for each in some for made in each]
    updates = [pb.UpdateContactRequest(contact=Contact(id=each, title="Boss")) for each in ids]
    changed = await contacts.BatchUpdateContacts(pb.BatchUpdateContactsRequest(requests=updates))
    assert [result.contact.title for result in changed.results] == ["Boss"] * 500
    deletions = [pb.DeleteContactRequest(id=each, etag='"2"') for each in ids]
    deleted = await contacts.BatchDeleteContacts(pb.BatchDeleteContactsRequest(requests=deletions))
    assert [result.id for result in deleted.results] == ids
    assert not any(result.HasField("status") for result in deleted.results)
    assert not (await contacts.ListContacts(pb.ListContactsRequest())).contacts


async def test_a_batch_with_a_record_twice_or_too_many_changes_nothing(contacts: Any, make_contact: MakeContact) -> None:
    made = await make_contact()
    twice = [pb.UpdateContactRequest(contact=Contact(id=made.id, title=title)) for title in ("A", "B")]
    assert (await refused(contacts.BatchUpdateContacts(pb.BatchUpdateContactsRequest(requests=twice)))).fields == ["requests[1].contact.id"]
    many = [pb.DeleteContactRequest(id=str(uuid.uuid4())) for _ in range(501)]
    assert (await refused(contacts.BatchDeleteContacts(pb.BatchDeleteContactsRequest(requests=many)))).fields == ["requests"]
    assert (await refused(contacts.BatchDeleteContacts(pb.BatchDeleteContactsRequest()))).fields == ["requests"]
    assert await contacts.GetContact(pb.GetContactRequest(id=made.id)) == made


async def test_crossing_batches_both_end(contacts: Any, make_contact: MakeContact) -> None:
    ids = [made.id for made in await asyncio.gather(*(make_contact() for _ in range(50)))]

    def update(order: list[str], title: str) -> Any:
        requests = [pb.UpdateContactRequest(contact=Contact(id=each, title=title)) for each in order]
        return contacts.BatchUpdateContacts(pb.BatchUpdateContactsRequest(requests=requests))

    answers = await asyncio.gather(*(update(ids if turn % 2 else ids[::-1], f"Turn {turn}") for turn in range(6)))
    assert all(result.HasField("contact") for answer in answers for result in answer.results)


async def test_a_repeated_idempotency_key_creates_once(contacts: Any) -> None:
    request = pb.CreateContactRequest(contact=Contact(given_name="Ann"))
    key = ("idempotency-key", uuid.uuid4().hex)
    first = await contacts.CreateContact(request, key)
    again = contacts.CreateContact(request, key)
    assert await again == first
    assert ("idempotency-replayed", "true") in [(name, value) for name, value in await again.trailing_metadata()]
    other = pb.CreateContactRequest(contact=Contact(given_name="Bob"))
    assert (await refused(contacts.CreateContact(other, key))).reason == "IDEMPOTENCY_KEY_REUSED"
    assert len((await contacts.ListContacts(pb.ListContactsRequest())).contacts) == 1


async def test_a_repeated_batch_deletion_gives_the_same_answer(contacts: Any, make_contact: MakeContact) -> None:
    made = await make_contact()
    request = pb.BatchDeleteContactsRequest(requests=[pb.DeleteContactRequest(id=made.id), pb.DeleteContactRequest(id="x")])
    key = ("idempotency-key", uuid.uuid4().hex)
    assert await contacts.BatchDeleteContacts(request, key) == await contacts.BatchDeleteContacts(request, key)


@pytest.mark.parametrize(
    ("typed", "searched"),
    [
        ("+1 555-123-4567", "5551234567"),
        ("'+1 555 123 4567", "+15551234567"),
        ("=+15551234567", "(555) 123-4567"),
        ("0044 20 7946 0958", "020 7946 0958"),
        ("1-800-FLOWERS", "1800flowers"),
        ("123-4567", "1234567"),
    ],
)
async def test_a_phone_number_is_found_however_it_is_typed(contacts: Any, make_contact: MakeContact, typed: str, searched: str) -> None:
    made = await make_contact(phones=[{"number": typed}])
    await make_contact(phones=[{"number": "+1 555 765 4321"}])
    assert made.phones[0].number == typed
    found = await contacts.ListContacts(pb.ListContactsRequest(filter=f'phone = "{searched}"'))
    assert [each.id for each in found.contacts] == [made.id]


async def test_a_contact_is_found_by_its_present_emails_alone(contacts: Any, make_contact: MakeContact) -> None:
    made = await make_contact(emails=[{"address": "Old@example.com"}])
    changed = Contact(id=made.id, emails=[{"address": "New@Example.com"}])
    await contacts.UpdateContact(pb.UpdateContactRequest(contact=changed))
    for searched, count in (("old@example.com", 0), ("NEW@example.com", 1), ("new*", 1)):
        found = await contacts.ListContacts(pb.ListContactsRequest(filter=f'email = "{searched}"'))
        assert len(found.contacts) == count


async def test_who_may_only_read_cannot_write(contacts_of: Any, owner: Person, join: Join, make_contact: MakeContact) -> None:
    made = await make_contact()
    reader = contacts_of(await join(owner, "read_only"))
    assert await reader.GetContact(pb.GetContactRequest(id=made.id)) == made
    refusal = await refused(reader.DeleteContact(pb.DeleteContactRequest(id=made.id)))
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.PERMISSION_DENIED, "PERMISSION_MISSING")


async def test_lists_page_by_page_are_the_whole_list(contacts: Any, make_contact: MakeContact) -> None:
    await asyncio.gather(*(make_contact(given_name=f"Contact {number % 7}") for number in range(45)))
    whole = await all_pages(contacts.ListContacts, pb.ListContactsRequest(page_size=200), "contacts")
    paged = await all_pages(contacts.ListContacts, pb.ListContactsRequest(page_size=7), "contacts")
    assert paged == whole
    assert len(whole) == 45
