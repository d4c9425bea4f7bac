"""ID-30: members of the built-in roles, seen by their own organisation alone."""

import hashlib
import secrets

import pytest
from google.protobuf.empty_pb2 import Empty

from chassis.errors import Code
from kith.identity.v1.auth_pb2 import SignInRequest
from kith.identity.v1.members_pb2 import CreateMemberRequest, ListMembersRequest, Member, Role
from tests.patience import SECONDS
from tests.service.calls import refused
from tests.service.identity.conftest import PASSWORD
from tests.service.identity.people import bearer


@pytest.fixture
def add(members, service_token):
    def call(owner, *, name="Test Member", role=Role.ROLE_MEMBER, email="", password=PASSWORD, key=""):
        wanted = Member(email=email or f"member-{secrets.token_hex(8)}@example.com", name=name, role=role)
        metadata = [("x-kith-service", service_token("identity", owner.tenant_id)), *([("idempotency-key", key)] if key else [])]
        return members.CreateMember(CreateMemberRequest(member=wanted, password=password), metadata=metadata, timeout=SECONDS)

    return call


@pytest.mark.parametrize("role", [role for role in Role.values() if role])
async def test_a_member_of_each_role_signs_in_with_its_permissions(owner, add, auth, role):
    member = await add(owner, role=role)
    session = await auth.SignIn(SignInRequest(email=member.email, password=PASSWORD))
    assert (session.me.role, session.me.tenant.id) == (role, owner.tenant_id)
    assert set(session.me.permissions) <= set(owner.session.me.permissions)


async def test_members_are_listed_by_name_page_by_page(owner, add, members):
    for name in ("Émile", "zoe", "Anders", "Emil"):
        await add(owner, name=name)
    names, token = [], ""
    while True:
        page = await members.ListMembers(ListMembersRequest(page_size=2, page_token=token), metadata=bearer(owner.session))
        names += [member.name for member in page.members]
        assert all(member.email and member.role for member in page.members)
        token = page.next_page_token
        if not token:
            break
    assert names == ["Anders", "Emil", "Émile", "Test Owner", "zoe"]


async def test_another_organisation_sees_nothing_of_it(owner, new_owner, add, members):
    await add(owner)
    other = await new_owner()
    page = await members.ListMembers(ListMembersRequest(), metadata=bearer(other.session))
    assert [member.id for member in page.members] == [other.user_id]


async def test_every_wrong_field_is_named_at_once(owner, add):
    refusal = await refused(add(owner, email="nobody", name=" "))
    assert [each.field for each in refusal.fields] == ["member.email", "member.name"]


async def test_a_role_that_is_none_is_refused(owner, add):
    refusal = await refused(add(owner, role=Role.ROLE_UNSPECIFIED))
    assert (refusal.code, refusal.reason) == (Code.INVALID_ARGUMENT, "ROLE_UNKNOWN")


async def test_a_weak_password_and_a_taken_address_are_refused(owner, add):
    assert (await refused(add(owner, password="short"))).reason == "PASSWORD_WEAK"
    assert (await refused(add(owner, email=owner.email))).reason == "EMAIL_TAKEN"


async def test_the_same_key_adds_one_member(owner, add, rows):
    email, key = f"once-{secrets.token_hex(8)}@example.com", secrets.token_hex(8)
    first, second = await add(owner, email=email, key=key), await add(owner, email=email, key=key)
    assert first == second
    assert len(await rows("SELECT 1 FROM memberships WHERE tenant_id = %s", owner.tenant_id)) == 2


async def test_what_is_kept_beside_a_key_is_no_plain_digest_of_the_password(owner, add, rows):
    key = secrets.token_hex(8)
    request = CreateMemberRequest(member=Member(email=f"{key}@example.com", name="Test Member", role=Role.ROLE_MEMBER), password=PASSWORD)
    await add(owner, email=request.member.email, key=key)
    ((kept,),) = [row.values() for row in await rows("SELECT request_hash FROM idempotency WHERE key = %s", key)]
    plain = hashlib.sha256(request.SerializeToString(deterministic=True)).digest()
    assert (len(kept), bytes(kept) == plain) == (len(plain), False)
    refusal = await refused(add(owner, email=request.member.email, password="another " + PASSWORD, key=key))
    assert refusal.reason == "IDEMPOTENCY_KEY_REUSED"


async def test_people_may_not_call_what_is_for_services(owner, members, tenants):
    for call in (
        members.CreateMember(CreateMemberRequest(), metadata=bearer(owner.session)),
        tenants.GetTenant(Empty(), metadata=bearer(owner.session)),
    ):
        assert (await refused(call)).reason == "INTERNAL_ONLY"


async def test_a_service_gets_the_tenant_that_its_token_names(owner, tenants, service_token):
    metadata = (("x-kith-service", service_token("identity", owner.tenant_id)),)
    assert await tenants.GetTenant(Empty(), metadata=metadata) == owner.session.me.tenant


async def test_a_tenant_that_is_none_is_not_found(tenants, service_token):
    metadata = (("x-kith-service", service_token("identity", "01890000-0000-7000-8000-000000000000")),)
    assert (await refused(tenants.GetTenant(Empty(), metadata=metadata))).code == Code.NOT_FOUND
