"""What crm says of its records in the stream: everything, once, in the order of each record."""

import asyncio
import uuid
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from kith.crm.v1 import companies_pb2, contacts_pb2
from tests.conftest import Person
from tests.service.conftest import Event, Told
from tests.service.crm.conftest import Contact, MakeCompany, MakeContact, refused

Said = Callable[[int], Awaitable[list[Event]]]


@pytest.fixture
def said(told: Told, owner: Person) -> Said:
    """`await said(3)` returns the three events of the organisation, and fails when there are more."""
    return lambda expected: told("crm", owner.tenant_id, expected)


async def test_the_life_of_a_contact_is_told_in_order_each_step_once(
    contacts: Any, owner: Person, make_contact: MakeContact, said: Said
) -> None:
    made = await make_contact()
    changed = await contacts.UpdateContact(contacts_pb2.UpdateContactRequest(contact=Contact(id=made.id, title="Boss")))
    await contacts.UpdateContact(contacts_pb2.UpdateContactRequest(contact=Contact(id=made.id, title="Boss")))
    await contacts.DeleteContact(contacts_pb2.DeleteContactRequest(id=made.id))
    restored = await contacts.RestoreContact(contacts_pb2.RestoreContactRequest(id=made.id))
    told = await said(4)
    assert [kind.split(".")[2] for kind, _, _ in told] == ["created", "updated", "deleted", "restored"]
    assert [event.contact.etag for _, event, _ in told] == ['"1"', '"2"', '"3"', '"4"']
    assert (told[0][1].contact, told[1][1].contact, told[3][1].contact) == (made, changed, restored)
    assert list(told[1][1].changed.paths) == ["title"]
    assert len({headers["Nats-Msg-Id"] for _, _, headers in told}) == 4
    for _, _, headers in told:
        assert (headers["kith-tenant"], headers["kith-key"], headers["actor"]) == (owner.tenant_id, made.id, owner.user_id)


async def test_each_record_of_a_batch_is_told_once_and_a_refused_one_is_not(companies: Any, make_company: MakeCompany, said: Said) -> None:
    made = await asyncio.gather(*(make_company(name=f"Company {number}") for number in range(20)))
    updates = [companies_pb2.UpdateCompanyRequest(company=companies_pb2.Company(id=each.id, industry="Tools")) for each in made]
    updates.append(companies_pb2.UpdateCompanyRequest(company=companies_pb2.Company(id=str(uuid.uuid4()), industry="Tools")))
    await companies.BatchUpdateCompanies(companies_pb2.BatchUpdateCompaniesRequest(requests=updates))
    deletions = [companies_pb2.DeleteCompanyRequest(id=each.id) for each in made]
    await companies.BatchDeleteCompanies(companies_pb2.BatchDeleteCompaniesRequest(requests=deletions))
    told = await said(60)
    for each in made:
        life = [(kind, event.company.etag) for kind, event, _ in told if event.company.id == each.id]
        expected = [("created", '"1"'), ("updated", '"2"'), ("deleted", '"3"')]
        assert life == [(f"crm.company.{step}.v1", etag) for step, etag in expected]


async def test_what_was_refused_or_only_tried_is_not_told(contacts: Any, make_contact: MakeContact, said: Said) -> None:
    made = await make_contact()
    await contacts.CreateContact(contacts_pb2.CreateContactRequest(contact=Contact(given_name="Ann"), validate_only=True))
    await refused(contacts.CreateContact(contacts_pb2.CreateContactRequest(contact=Contact())))
    await refused(contacts.UpdateContact(contacts_pb2.UpdateContactRequest(contact=Contact(id=made.id, etag='"9"', title="Boss"))))
    assert [kind for kind, _, _ in await said(1)] == ["crm.contact.created.v1"]


async def test_a_replayed_key_tells_nothing_new(contacts: Any, said: Said) -> None:
    request = contacts_pb2.CreateContactRequest(contact=Contact(given_name="Ann"))
    key = ("idempotency-key", uuid.uuid4().hex)
    for _ in range(3):
        await contacts.CreateContact(request, key)
    assert len(await said(1)) == 1
