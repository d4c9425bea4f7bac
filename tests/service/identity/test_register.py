"""ID-1, ID-2: one call makes an organisation and its owner, or nothing."""

import asyncio
import secrets

import pytest
from google.protobuf.empty_pb2 import Empty

from chassis.errors import Code
from kith.identity.v1.auth_pb2 import RegisterRequest
from kith.identity.v1.members_pb2 import Role
from kith.options.v1.permissions_pb2 import Permission
from tests.service.calls import refused
from tests.service.identity.people import bearer


async def test_registering_signs_the_owner_in_with_every_permission(new_owner, me):
    owner = await new_owner(organisation="  Öl & Söhne ", name="Ada Tester", locale="de-AT", time_zone="Europe/Vienna")
    seen = await me.GetMe(Empty(), metadata=bearer(owner.session))
    assert seen == owner.session.me
    assert (seen.tenant.name, seen.tenant.locale, seen.tenant.time_zone, seen.tenant.region) == (
        "Öl & Söhne",
        "de-AT",
        "Europe/Vienna",
        "AT",
    )
    assert (seen.user.name, seen.user.email) == ("Ada Tester", owner.email)
    assert seen.role == Role.ROLE_OWNER
    assert set(seen.permissions) == set(Permission.values()) - {0}


async def test_what_is_left_out_has_a_default(owner):
    tenant = owner.session.me.tenant
    assert (tenant.locale, tenant.time_zone, tenant.region) == ("en", "UTC", "")


async def test_every_wrong_field_is_named_at_once(auth):
    wrong = RegisterRequest(
        organisation=" ", email="nobody", password="x", name="a\nb", locale="english", time_zone="Mars/Base", region="ZZ"
    )
    refusal = await refused(auth.Register(wrong))
    assert (refusal.code, refusal.reason) == (Code.INVALID_ARGUMENT, "FIELD_INVALID")
    assert [each.field for each in refusal.fields] == ["organisation", "email", "name", "locale", "time_zone", "region"]


@pytest.mark.parametrize("password", ["short", "aaaaaaaaaaaaaaaaaaaa", "we are the Blue Lantern Works", "x" * 2000])
async def test_a_weak_password_is_refused_and_nothing_is_written(auth, rows, password):
    email = f"weak-{secrets.token_hex(8)}@example.com"
    request = RegisterRequest(organisation="Blue Lantern Works", email=email, password=password, name="Test Owner")
    refusal = await refused(auth.Register(request))
    assert (refusal.code, refusal.reason, refusal.reason.domain) == (Code.INVALID_ARGUMENT, "PASSWORD_WEAK", "identity.kith.dev")
    assert [each.field for each in refusal.fields] == ["password"]
    assert await rows("SELECT 1 FROM users WHERE email = %s", email) == []


async def test_an_address_is_taken_whatever_the_case_of_its_letters_and_nothing_is_written(owner, new_owner, rows):
    organisation = f"Second {secrets.token_hex(8)}"
    refusal = await refused(new_owner(email=owner.email.upper(), organisation=organisation))
    assert (refusal.code, refusal.reason) == (Code.ALREADY_EXISTS, "EMAIL_TAKEN")
    assert await rows("SELECT 1 FROM tenants WHERE name = %s", organisation) == []


async def test_of_many_who_register_one_address_at_once_one_gets_it(new_owner, rows):
    email = f"rush-{secrets.token_hex(8)}@example.com"
    answers = await asyncio.gather(*(new_owner(email=email) for _ in range(6)), return_exceptions=True)
    assert sum(not isinstance(answer, Exception) for answer in answers) == 1
    assert len(await rows("SELECT 1 FROM users WHERE email = %s", email)) == 1


async def test_registering_leaves_its_trail_and_its_events_in_the_new_organisation(owner, rows):
    trail = await rows("SELECT action, actor_id::text, after FROM audit_log WHERE tenant_id = %s ORDER BY id", owner.tenant_id)
    assert [row["action"] for row in trail] == ["identity.tenant.created.v1", "identity.member.created.v1"]
    assert {row["actor_id"] for row in trail} == {owner.user_id}
    assert owner.email not in str(trail)
    events = await rows("SELECT subject FROM outbox WHERE tenant_id = %s ORDER BY seq", owner.tenant_id)
    assert [row["subject"] for row in events] == [
        f"kith.identity.tenant.created.v1.{owner.tenant_id}",
        f"kith.identity.member.created.v1.{owner.tenant_id}",
    ]


async def test_no_password_and_no_token_is_written_down(owner, rows):
    tables = ("users", "passwords", "sessions", "keys", "audit_log", "outbox", "attempts")
    written = "".join([str(await rows(f"SELECT t::text FROM {table} t")) for table in tables])
    assert owner.user_id in written
    assert owner.password not in written
    assert owner.session.refresh_token not in written
    assert owner.session.access_token not in written
