"""What crm knows of organisations and members, by events and before they have come."""

from typing import Any

import pytest

from chassis import ids
from chassis.context import Caller, CallerKind, Request, enter
from chassis.database import Database, unit_of_work
from kith.crm.v1.contacts_pb2 import CreateContactRequest
from kith.identity.v1.events_pb2 import MemberCreated, TenantCreated
from kith.identity.v1.members_pb2 import Member
from kith.identity.v1.tenants_pb2 import Tenant
from services.crm.members import events as member_events
from services.crm.members import store as members
from services.crm.tenants import events as tenant_events
from services.crm.tenants.actions import Regions
from tests.conftest import Dsn, Register
from tests.service.crm.conftest import Contact


@pytest.fixture
async def tenant_id(dsn: Dsn) -> Any:
    """An organisation that identity never told of, and crm's own database in hand."""
    fresh = ids.new()
    async with Database(dsn("crm", "runtime"), size=2) as database:
        enter(Request(request_id=ids.new(), database=database, caller=Caller(kind=CallerKind.SERVICE, tenant_id=fresh, service="crm")))
        yield fresh


class Identity:
    """Counts how often identity is asked."""

    def __init__(self, region: str) -> None:
        self.region = region
        self.asked = 0

    async def __call__(self, _: Any) -> Tenant:
        self.asked += 1
        return Tenant(etag='"1"', region=self.region, time_zone="UTC", locale="en")


async def test_identity_is_asked_once_for_a_tenant_whose_event_has_not_come(tenant_id: str) -> None:
    identity = Identity("DE")
    for _ in range(2):
        async with unit_of_work(tenant_id) as work:
            assert await Regions(identity).of(work) == "DE"
    assert identity.asked == 1


async def test_an_event_that_came_is_enough_and_an_older_one_changes_nothing(tenant_id: str) -> None:
    identity = Identity("DE")
    async with unit_of_work(tenant_id) as work:
        for version, region in ((2, "GB"), (1, "FR")):
            tenant = Tenant(id=tenant_id, etag=f'"{version}"', region=region, time_zone="UTC", locale="en")
            await tenant_events.created(work, TenantCreated(tenant=tenant))
        assert await Regions(identity).of(work) == "GB"
    assert identity.asked == 0


async def test_members_are_known_by_their_events_each_in_their_organisation(tenant_id: str) -> None:
    member, stranger = ids.new(), ids.new()
    async with unit_of_work(tenant_id) as work:
        for _ in range(2):
            await member_events.created(work, MemberCreated(member=Member(id=member, etag='"1"', name="Ann")))
        assert await members.known(work, [member, stranger]) == {member}
    async with unit_of_work(ids.new()) as work:
        assert await members.known(work, [member]) == set()


async def test_a_first_contact_right_after_registration_has_its_phone_read_in_the_region(register: Register, contacts_of: Any) -> None:
    contacts = contacts_of(await register(region="GB"))
    made = await contacts.CreateContact(CreateContactRequest(contact=Contact(phones=[{"number": "020 7946 0958"}])))
    assert made.phones[0].e164 == "+442079460958"
