"""The purge and its cascades (CRM-9): what goes, what stays, and what is said of it."""

from collections.abc import AsyncIterator
from typing import Any

import psycopg
import pytest

from chassis import ids
from chassis.context import Caller, CallerKind, Request, enter
from chassis.database import Database, root_key
from chassis.sealing.keys import Memory
from chassis.vault import LocalMasterKey, Vault
from kith.crm.v1 import companies_pb2, contacts_pb2
from kith.identity.v1.tenants_pb2 import Tenant
from services.crm.companies.actions import Companies
from services.crm.contacts.actions import Contacts
from services.crm.records.jobs import Purge
from services.crm.tenants.actions import Regions
from stack.wiring import Wiring
from tests.conftest import Dsn, Person
from tests.service.conftest import Told
from tests.service.crm.conftest import MakeCompany, MakeContact, refused
from tests.unit.chassis.moving import eventually


@pytest.fixture
async def purge(dsn: Dsn, platform: Wiring) -> AsyncIterator[Purge]:
    """The job as the service runs it, with the service's own rights and keys."""

    async def ask(_: Any) -> Tenant:
        raise AssertionError("no number is read")

    contacts, companies = Contacts(Regions(ask)), Companies(Regions(ask))
    vault = Vault(LocalMasterKey.read(platform.secrets.master_key))
    keys = Memory(await root_key.load(dsn("crm", "system"), vault, "crm"))
    async with Database(dsn("crm", "runtime"), size=2, keys=keys) as database:
        enter(Request(request_id=ids.new(), database=database, caller=Caller(kind=CallerKind.SERVICE, service="crm"), origin="purge"))
        yield Purge([contacts.purge, contacts.leave_companies, companies.purge])


@pytest.fixture
def age(dsn: Dsn, owner: Person) -> Any:
    """`age("contacts", record_id, days)` lets a deleted record be deleted so many days ago."""

    def change(table: str, record_id: str, days: int) -> None:
        with psycopg.connect(dsn("crm", "migrator")) as migrator:
            statement = f"UPDATE {table} SET delete_time = delete_time - make_interval(days => %s) WHERE tenant_id = %s AND id = %s"
            assert migrator.execute(statement, [days, owner.tenant_id, record_id]).rowcount == 1

    return change


def count(dsn: str, statement: str, *values: Any) -> int:
    with psycopg.connect(dsn) as migrator:
        row = migrator.execute(statement, values).fetchone()
    assert row is not None
    return int(row[0])


async def test_a_contact_is_purged_after_ninety_days_with_its_keys_and_its_trail_stays(
    contacts: Any, owner: Person, make_contact: MakeContact, purge: Purge, age: Any, dsn: Dsn
) -> None:
    old = await make_contact(emails=[{"address": "ann@example.com"}])
    fresh = await make_contact(emails=[{"address": "bob@example.com"}])
    for each in (old, fresh):
        await contacts.DeleteContact(contacts_pb2.DeleteContactRequest(id=each.id))
    age("contacts", old.id, 91)
    age("contacts", fresh.id, 89)
    await purge.purge_records()
    assert (await refused(contacts.GetContact(contacts_pb2.GetContactRequest(id=old.id)))).reason == "NOT_FOUND"
    assert (await contacts.RestoreContact(contacts_pb2.RestoreContactRequest(id=fresh.id))).id == fresh.id
    migrator = dsn("crm", "migrator")
    assert count(migrator, "SELECT count(*) FROM contact_keys WHERE tenant_id = %s AND contact_id = %s", owner.tenant_id, old.id) == 0
    assert count(migrator, "SELECT count(*) FROM audit_log WHERE tenant_id = %s AND resource_id = %s", owner.tenant_id, old.id) == 3


async def test_what_was_published_of_a_purged_contact_is_read_by_nobody_any_more(
    contacts: Any, owner: Person, make_contact: MakeContact, purge: Purge, age: Any, told: Told
) -> None:
    old = await make_contact(given_name="Ann", source="fair", emails=[{"address": "ann@example.com"}])
    fresh = await make_contact(given_name="Bob")
    await contacts.DeleteContact(contacts_pb2.DeleteContactRequest(id=old.id))
    age("contacts", old.id, 91)
    before = {event.contact.given_name for _, event, _ in await told("crm", owner.tenant_id, 3)}
    await purge.purge_records()

    async def forgotten() -> bool:
        """The service, another process than the purge here, remembers a key for some seconds."""
        return not any(event.contact.given_name for _, event, _ in await told("crm", owner.tenant_id, 4) if event.contact.id == old.id)

    await eventually(forgotten, pause=0.5)
    after = await told("crm", owner.tenant_id, 4)
    assert before == {"Ann", "Bob"}
    assert [(kind, event.contact.given_name, len(event.contact.emails)) for kind, event, _ in after if event.contact.id == old.id] == [
        ("crm.contact.created.v1", "", 0),
        ("crm.contact.deleted.v1", "", 0),
        ("crm.contact.purged.v1", "", 0),
    ]
    assert after[0].message.contact.source == "fair"
    assert next(event.contact for _, event, _ in after if event.contact.id == fresh.id) == fresh


async def test_contacts_leave_a_company_that_is_purged(
    companies: Any, contacts: Any, make_company: MakeCompany, make_contact: MakeContact, purge: Purge, age: Any
) -> None:
    company = await make_company()
    live, deleted = await make_contact(company_id=company.id), await make_contact(company_id=company.id)
    await contacts.DeleteContact(contacts_pb2.DeleteContactRequest(id=deleted.id))
    await companies.DeleteCompany(companies_pb2.DeleteCompanyRequest(id=company.id))
    age("companies", company.id, 91)
    await purge.purge_records()
    assert (await refused(companies.GetCompany(companies_pb2.GetCompanyRequest(id=company.id)))).reason == "NOT_FOUND"
    left = await contacts.GetContact(contacts_pb2.GetContactRequest(id=live.id))
    assert (left.company_id, left.etag) == ("", '"2"')
    assert (await contacts.GetContact(contacts_pb2.GetContactRequest(id=deleted.id))).company_id == ""


async def test_a_company_that_can_be_restored_keeps_its_contacts(
    companies: Any, contacts: Any, make_company: MakeCompany, make_contact: MakeContact, purge: Purge
) -> None:
    company = await make_company()
    contact = await make_contact(company_id=company.id)
    await companies.DeleteCompany(companies_pb2.DeleteCompanyRequest(id=company.id))
    await purge.purge_records()
    await companies.RestoreCompany(companies_pb2.RestoreCompanyRequest(id=company.id))
    assert await contacts.GetContact(contacts_pb2.GetContactRequest(id=contact.id)) == contact
