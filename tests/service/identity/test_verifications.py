"""ID-1: an address is verified by a mailed link, once, within 24 hours, and by nothing else."""

import asyncio
import secrets

import httpx
import psycopg
import pytest
from google.protobuf.descriptor import Descriptor, ServiceDescriptor
from google.protobuf.empty_pb2 import Empty

from chassis import ids
from chassis.context import Request, enter
from chassis.database import Database
from kith.identity.v1 import auth_pb2, me_pb2, members_pb2, tenants_pb2, verifications_pb2
from services.identity.mails.tokens import MAILS_A_DAY
from services.identity.verifications.jobs import purge_verifications
from tests.unit.chassis.moving import eventually

USED = "UPDATE email_verifications SET expire_time = now() WHERE user_id = %s"
COUNT = "SELECT count(*) AS count FROM email_verifications WHERE user_id = %s"


@pytest.fixture
async def person(register):
    return await register()


async def verify(edge: httpx.AsyncClient, token: str) -> httpx.Response:
    return await edge.post("/v1/auth:verifyEmail", json={"token": token})


async def resend(edge: httpx.AsyncClient, person) -> httpx.Response:
    return await edge.post("/v1/me:resendVerification", json={}, headers=person.headers)


async def user_of(edge: httpx.AsyncClient, person):
    return (await edge.get("/v1/me", headers=person.headers)).json()["user"]


def is_refused(answer: httpx.Response) -> bool:
    return (answer.status_code, answer.json()["code"]) == (400, "VERIFICATION_INVALID")


async def test_the_mailed_link_verifies_the_address(edge, person, mailbox, platform):
    before = await user_of(edge, person)
    assert "emailVerifyTime" not in before
    (mail,) = await mailbox.wait_for(person.email)
    assert mail.subject == "Confirm your email address"
    assert mail.links[0].startswith(f"{platform.public_url}/verify-email#cev_")
    answer = await verify(edge, await mailbox.token(person.email))
    assert (answer.status_code, answer.json()) == (200, {})
    after = await user_of(edge, person)
    assert after.pop("emailVerifyTime") == after["updateTime"]
    assert after.pop("etag") != before.pop("etag")
    assert after.pop("updateTime") > before.pop("updateTime")
    assert after == before


async def test_a_link_works_once(edge, person, mailbox):
    token = await mailbox.token(person.email)
    assert (await verify(edge, token)).is_success
    assert is_refused(await verify(edge, token))


async def test_of_many_who_follow_a_link_at_once_one_is_the_first(edge, person, mailbox):
    token = await mailbox.token(person.email)
    answers = await asyncio.gather(*(verify(edge, token) for _ in range(6)))
    assert sorted(answer.status_code for answer in answers) == [200, *[400] * 5]


async def test_of_two_links_that_are_followed_at_once_one_is_the_first(edge, person, mailbox):
    await resend(edge, person)
    tokens = [await mailbox.token(person.email, number) for number in (1, 2)]
    answers = await asyncio.gather(*(verify(edge, token) for token in tokens))
    assert sorted(answer.status_code for answer in answers) == [200, 400]


async def test_a_link_beside_a_reset_leaves_a_verified_address_and_no_link(edge, person, mailbox, link, reset, rows):
    token, other = await mailbox.token(person.email), await link(person)
    answer, done = await asyncio.gather(verify(edge, token), reset(other))
    assert (answer.status_code in {200, 400}, done) == (True, Empty())
    assert await rows("SELECT 1 FROM users WHERE id = %s AND email_verify_time IS NULL", person.user_id) == []
    assert await rows(COUNT, person.user_id) == [{"count": 0}]


async def test_who_waits_for_the_user_holds_no_link(edge, person, mailbox, admin_dsn, rows):
    token = await mailbox.token(person.email)
    async with await psycopg.AsyncConnection.connect(admin_dsn("identity")) as connection:
        await connection.execute("SELECT 1 FROM users WHERE id = %s FOR NO KEY UPDATE", [person.user_id])
        following = asyncio.create_task(verify(edge, token))
        await eventually(lambda: has_waiting(rows, connection.info.backend_pid), pause=0.05)
        assert await rows("SELECT 1 AS free FROM email_verifications WHERE user_id = %s FOR UPDATE SKIP LOCKED", person.user_id)
    await following
    await verify(edge, token)  # on a slow machine it waited in vain
    assert await rows(COUNT, person.user_id) == [{"count": 0}]


async def has_waiting(rows, backend_pid: int) -> bool:
    return bool(await rows("SELECT 1 FROM pg_stat_activity WHERE %s = ANY (pg_blocking_pids(pid))", backend_pid))


async def test_a_link_ends_after_its_time(edge, person, mailbox, rows):
    token = await mailbox.token(person.email)
    await rows(USED, person.user_id)
    assert is_refused(await verify(edge, token))
    assert "emailVerifyTime" not in await user_of(edge, person)


@pytest.mark.parametrize("token", ["", "cev_", "x" * 9000, "cev_" + "ä" * 43, "cev_" + "A" * 43])
async def test_what_was_not_mailed_verifies_nothing(edge, token):
    assert is_refused(await verify(edge, token))


async def test_a_link_verifies_the_address_that_it_was_mailed_to_and_no_other(edge, person, mailbox, rows):
    token = await mailbox.token(person.email)
    other = f"other-{secrets.token_hex(8)}@example.com"
    await rows("UPDATE users SET email = %s, email_key = %s WHERE id = %s", other, other, person.user_id)
    assert is_refused(await verify(edge, token))
    assert "emailVerifyTime" not in await user_of(edge, person)


async def test_who_asks_again_gets_another_link_and_either_is_good(edge, person, mailbox):
    assert (await resend(edge, person)).is_success
    first, second = [await mailbox.token(person.email, number) for number in (1, 2)]
    assert (await verify(edge, first)).is_success
    assert is_refused(await verify(edge, second))


async def test_an_address_gets_five_mails_a_day_and_the_answer_never_tells(edge, person, mailbox, rows):
    answers = await asyncio.gather(*(resend(edge, person) for _ in range(MAILS_A_DAY + 2)))
    assert {(answer.status_code, answer.text) for answer in answers} == {(200, "{}")}
    assert await rows(COUNT, person.user_id) == [{"count": MAILS_A_DAY}]
    await rows(USED, person.user_id)
    await resend(edge, person)
    assert len(await mailbox.wait_for(person.email, MAILS_A_DAY + 1)) == MAILS_A_DAY + 1


async def test_a_verified_address_gets_no_more_mails(edge, person, mailbox, rows):
    await verify(edge, await mailbox.token(person.email))
    answer = await resend(edge, person)
    assert (answer.status_code, answer.json()) == (200, {})
    assert await rows(COUNT, person.user_id) == [{"count": 0}]


async def test_a_repeated_idempotency_key_mails_once(edge, person, rows):
    for _ in range(2):
        headers = {**person.headers, "idempotency-key": person.user_id}
        assert (await edge.post("/v1/me:resendVerification", json={}, headers=headers)).is_success
    assert await rows(COUNT, person.user_id) == [{"count": 2}]


async def test_mails_are_in_the_language_of_their_reader(register, mailbox):
    person = await register(locale="de-AT")
    (mail,) = await mailbox.wait_for(person.email)
    assert mail.subject == "Bestätigen Sie Ihre E-Mail-Adresse"


async def test_a_mail_quotes_nothing_of_who_registered(register, mailbox):
    person = await register(name="Visit https://evil.example", organisation="Come to https://evil.example")
    (mail,) = await mailbox.wait_for(person.email)
    assert "evil" not in mail.subject + mail.text


async def test_a_registration_that_fails_mails_nothing(person, edge, rows):
    said = {"organisation": "Second", "email": person.email, "password": secrets.token_urlsafe(24), "name": "Second"}
    assert (await edge.post("/v1/auth:register", json=said)).status_code == 409
    assert await rows(COUNT, person.user_id) == [{"count": 1}]


async def test_a_verification_leaves_its_trail_without_a_word_of_the_address(edge, person, mailbox, rows):
    token = await mailbox.token(person.email)
    await verify(edge, token)
    query = "SELECT t::text AS line, method, resource_id FROM audit_log t WHERE tenant_id = %s ORDER BY id DESC LIMIT 1"
    (line,) = await rows(query, person.tenant_id)
    assert (line["method"].rpartition("/")[2], line["resource_id"]) == ("VerifyEmail", person.user_id)
    assert "verified" in line["line"]
    assert not [secret for secret in (person.email, token) if secret in line["line"]]


async def test_no_token_is_written_down(person, mailbox, rows):
    token = await mailbox.token(person.email)
    tables = ("users", "email_verifications", "mails", "audit_log", "outbox")
    written = "".join([str(await rows(f"SELECT t::text FROM {table} t")) for table in tables])
    assert person.user_id in written
    assert token not in written


async def test_links_that_have_ended_are_forgotten(person, register, rows, dsn):
    other = await register()
    await rows(USED, person.user_id)
    async with Database(dsn("identity", "runtime")) as database:
        enter(Request(request_id=ids.new(), database=database))
        await purge_verifications()
    assert (await rows(COUNT, person.user_id), await rows(COUNT, other.user_id)) == ([{"count": 0}], [{"count": 1}])


@pytest.mark.parametrize("file", [auth_pb2, me_pb2, members_pb2, tenants_pb2, verifications_pb2], ids=lambda file: file.DESCRIPTOR.name)
def test_no_call_takes_a_user_whose_address_is_verified_already(file):
    services: list[ServiceDescriptor] = list(file.DESCRIPTOR.services_by_name.values())
    assert not [method.full_name for service in services for method in service.methods if holds_user(method.input_type)]


def holds_user(message: Descriptor) -> bool:
    parts = [field.message_type for field in message.fields if field.message_type is not None]
    return message is me_pb2.User.DESCRIPTOR or any(map(holds_user, parts))
