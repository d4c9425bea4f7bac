"""Change sets: what was changed together is undone together, and later edits stay."""

import asyncio
from typing import Any

import grpc
import pytest

from kith.crm.v1 import change_sets_pb2, change_sets_pb2_grpc, contacts_pb2
from kith.crm.v1.change_sets_pb2 import ChangeSet
from tests.conftest import Channel, Join, Person
from tests.service.crm.conftest import As, Contact, MakeContact, refused


@pytest.fixture
def change_sets(channel: Channel, owner: Person) -> Any:
    """ChangeSetService as the owner."""
    return As(change_sets_pb2_grpc.ChangeSetServiceStub(channel("crm")), owner)


async def update(contacts: Any, *wanted: Contact) -> str:
    requests = [contacts_pb2.UpdateContactRequest(contact=each) for each in wanted]
    answer = await contacts.BatchUpdateContacts(contacts_pb2.BatchUpdateContactsRequest(requests=requests))
    return answer.change_set_id


async def delete(contacts: Any, *ids: str) -> str:
    requests = [contacts_pb2.DeleteContactRequest(id=each) for each in ids]
    answer = await contacts.BatchDeleteContacts(contacts_pb2.BatchDeleteContactsRequest(requests=requests))
    return answer.change_set_id


async def revert(change_sets: Any, change_set_id: str) -> ChangeSet:
    """Revert and wait for the end."""
    asked = await change_sets.RevertChangeSet(change_sets_pb2.RevertChangeSetRequest(id=change_set_id))
    assert asked.state == change_sets_pb2.CHANGE_SET_STATE_REVERTING
    async with asyncio.timeout(120):
        while True:
            now = await change_sets.GetChangeSet(change_sets_pb2.GetChangeSetRequest(id=change_set_id))
            if now.state == change_sets_pb2.CHANGE_SET_STATE_REVERTED:
                return now
            await asyncio.sleep(0.05)


async def get(contacts: Any, contact_id: str) -> Contact:
    return await contacts.GetContact(contacts_pb2.GetContactRequest(id=contact_id))


async def test_a_batch_update_is_undone(contacts: Any, change_sets: Any, make_contact: MakeContact) -> None:
    made = [await make_contact(title=f"Clerk {number}", tags=["a"], phones=[{"number": "555 123 4567"}]) for number in range(3)]
    wanted = [Contact(id=each.id, title="Boss", tags=["b", "c"], address={"city": "Springfield"}, phones=[]) for each in made]
    change_set_id = await update(contacts, *wanted)
    done = await revert(change_sets, change_set_id)
    assert (done.change_count, done.reverted_count, done.kept_count) == (3, 3, 0)
    for each in made:
        now = await get(contacts, each.id)
        assert now.etag == '"3"'
        now.etag = each.etag
        now.update_time.CopyFrom(each.update_time)
        assert now == each


async def test_a_batch_delete_is_undone_and_what_was_restored_meanwhile_is_left(
    contacts: Any, change_sets: Any, make_contact: MakeContact
) -> None:
    first, second = await make_contact(), await make_contact()
    change_set_id = await delete(contacts, first.id, second.id)
    restored = await contacts.RestoreContact(contacts_pb2.RestoreContactRequest(id=first.id))
    done = await revert(change_sets, change_set_id)
    assert done.kept_count == 0
    assert await get(contacts, first.id) == restored
    assert not (await get(contacts, second.id)).HasField("delete_time")


async def test_later_edits_are_kept_field_by_field_and_reported(contacts: Any, change_sets: Any, make_contact: MakeContact) -> None:
    edited, deleted = await make_contact(title="Clerk", department="Sales"), await make_contact(title="Clerk")
    change_set_id = await update(contacts, Contact(id=edited.id, title="Boss", department="Board"), Contact(id=deleted.id, title="Boss"))
    await contacts.UpdateContact(contacts_pb2.UpdateContactRequest(contact=Contact(id=edited.id, title="Founder", source="fair")))
    await contacts.DeleteContact(contacts_pb2.DeleteContactRequest(id=deleted.id))
    done = await revert(change_sets, change_set_id)
    assert {each.record_id: list(each.fields) for each in done.kept_edits} == {edited.id: ["title"], deleted.id: ["title"]}
    assert (done.reverted_count, done.kept_count) == (0, 2)
    now = await get(contacts, edited.id)
    assert (now.title, now.department, now.source) == ("Founder", "Sales", "fair")
    assert (await get(contacts, deleted.id)).title == "Boss"


async def test_a_change_set_is_reverted_once(contacts: Any, change_sets: Any, make_contact: MakeContact) -> None:
    change_set_id = await update(contacts, Contact(id=(await make_contact()).id, title="Boss"))
    await revert(change_sets, change_set_id)
    refusal = await refused(change_sets.RevertChangeSet(change_sets_pb2.RevertChangeSetRequest(id=change_set_id)))
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "CHANGE_SET_NOT_REVERTIBLE")


async def test_what_changes_nothing_leaves_no_change_set(contacts: Any, change_sets: Any, make_contact: MakeContact) -> None:
    made = await make_contact(title="Boss")
    assert await update(contacts, Contact(id=made.id, title="Boss")) == ""
    assert not (await change_sets.ListChangeSets(change_sets_pb2.ListChangeSetsRequest())).change_sets


async def test_change_sets_are_listed_newest_first(contacts: Any, change_sets: Any, owner: Person, make_contact: MakeContact) -> None:
    made = await make_contact()
    ids = [await update(contacts, Contact(id=made.id, title=title)) for title in ("A", "B")]
    listed = (await change_sets.ListChangeSets(change_sets_pb2.ListChangeSetsRequest())).change_sets
    assert [each.id for each in listed] == ids[::-1]
    assert {(each.creator_id, each.change_count) for each in listed} == {(owner.user_id, 1)}


async def test_who_may_only_read_cannot_revert(
    contacts: Any, channel: Channel, join: Join, owner: Person, make_contact: MakeContact
) -> None:
    change_set_id = await update(contacts, Contact(id=(await make_contact()).id, title="Boss"))
    reader = As(change_sets_pb2_grpc.ChangeSetServiceStub(channel("crm")), await join(owner, "read_only"))
    refusal = await refused(reader.RevertChangeSet(change_sets_pb2.RevertChangeSetRequest(id=change_set_id)))
    assert refusal.reason == "PERMISSION_MISSING"
