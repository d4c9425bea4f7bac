"""ID-2, ID-4: a mailed link sets another password, once and within ten minutes, and nothing tells whose address is known."""

import asyncio
import secrets

import httpx
import psycopg
import pytest
from google.protobuf.empty_pb2 import Empty

from chassis import ids
from chassis.context import Request, enter
from chassis.database import Database
from chassis.errors import Code
from kith.identity.v1.events_pb2 import SessionEnded
from services.identity.attempts.rules import ACCOUNT, account_key, address_key
from services.identity.mails.tokens import MAILS_A_DAY
from services.identity.passwords.jobs import purge_resets
from services.identity.passwords.rules import TOKENS
from services.identity.rules import NOBODY
from tests.service.calls import refused
from tests.service.identity.people import bearer
from tests.service.identity.replacing import ENDED, HOUR, LATER, NEXT, is_worthless

RESET = {"en": "Choose a new password", "de": "Wählen Sie ein neues Passwort"}
COUNT = "SELECT count(*) AS count FROM password_resets WHERE user_id = %s"


async def test_the_walk_over_rest_ends_in_a_sign_in_with_the_new_password(edge, register, mailbox, platform):
    person = await register()
    asked = await edge.post("/v1/auth:requestPasswordReset", json={"email": f" {person.email.upper()} "})
    assert (asked.status_code, asked.json()) == (200, {})
    _, mail = await mailbox.wait_for(person.email, 2)
    assert mail.subject == RESET["en"]
    assert mail.links[0].startswith(f"{platform.public_url}/reset-password#cpr_")
    done = await edge.post("/v1/auth:resetPassword", json={"token": mail.links[0].partition("#")[2], "password": NEXT})
    assert (done.status_code, done.json()) == (200, {})
    assert "set-cookie" not in done.headers
    answer = await edge.post("/v1/auth:signIn", json={"email": person.email, "password": NEXT})
    assert answer.is_success, answer.text


async def test_an_unknown_address_gets_the_answer_of_a_known_one(edge, register):
    def shown(answer: httpx.Response):
        varying = {"date", "x-request-id", "traceparent", "ratelimit-remaining", "ratelimit-reset", "ratelimit", "x-trace-id"}
        return answer.status_code, answer.content, {name: value for name, value in answer.headers.items() if name not in varying}

    person = await register()
    known, unknown = [
        await edge.post("/v1/auth:requestPasswordReset", json={"email": email})
        for email in (person.email, f"nobody-{secrets.token_hex(8)}@example.com")
    ]
    assert known.is_success
    assert shown(known) == shown(unknown)


async def test_an_unknown_address_gets_no_link_and_stands_in_no_trail(ask, rows):
    email = f"nobody-{secrets.token_hex(8)}@example.com"
    assert await ask(email) == Empty()
    assert await rows("SELECT 1 FROM password_resets WHERE email_key = %s OR user_id = %s", email, NOBODY) == []
    trail = await rows("SELECT t::text AS line, after FROM audit_log t WHERE action = 'RequestPasswordReset' AND tenant_id = %s", NOBODY)
    assert {str(row["after"]) for row in trail} == {str({"outcome": "not_mailed"})}
    assert not [row for row in trail if email in row["line"]]


async def test_what_is_no_address_is_refused_as_such(ask):
    refusal = await refused(ask("nobody"))
    assert (refusal.code, [each.field for each in refusal.fields]) == (Code.INVALID_ARGUMENT, ["email"])


async def test_an_account_gets_five_mails_a_day_and_the_answer_never_tells(owner, ask, mailbox, rows):
    for _ in range(MAILS_A_DAY):
        await ask(owner.email)
        await rows("DELETE FROM attempts WHERE key = %s", f"reset:{account_key(owner.email)}")
    assert await ask(owner.email) == Empty()
    assert await rows(COUNT, owner.user_id) == [{"count": MAILS_A_DAY}]
    await rows("UPDATE password_resets SET create_time = create_time - interval '24 hours' WHERE user_id = %s", owner.user_id)
    await ask(owner.email)
    assert len(await mailbox.wait_for(owner.email, MAILS_A_DAY + 2)) == MAILS_A_DAY + 2


async def test_many_who_ask_at_once_get_no_more_than_five_mails(owner, ask, rows):
    await asyncio.gather(*(ask(owner.email) for _ in range(MAILS_A_DAY + 7)), return_exceptions=True)
    assert (await rows(COUNT, owner.user_id))[0]["count"] <= MAILS_A_DAY


@pytest.mark.parametrize("known", [True, False], ids=["known", "unknown"])
async def test_asking_gets_slow_whoever_is_asked_for_and_is_over_when_the_answer_says(owner, ask, rows, sign_in, known):
    email = owner.email if known else f"nobody-{secrets.token_hex(8)}@example.com"
    for _ in range(ACCOUNT.free):
        await ask(email)
    key = f"reset:{account_key(email)}"
    await rows(LATER, HOUR, key)
    slowed = await refused(ask(email))
    assert (slowed.code, slowed.reason) == (Code.RESOURCE_EXHAUSTED, "SIGN_IN_SLOWED")
    await rows(LATER, -slowed.retry_after, key)
    assert await ask(email) == Empty()
    assert (await sign_in(owner, owner.password)).access_token


async def test_an_address_that_asks_for_many_accounts_gets_slow_and_others_do_not(ask, coming_from, rows):
    metadata = coming_from()
    for _ in range(30):
        await ask(f"nobody-{secrets.token_hex(8)}@example.com", metadata)
    await rows(LATER, HOUR, f"reset:{address_key(dict(metadata)['x-kith-client-ip'])}")
    assert (await refused(ask(f"nobody-{secrets.token_hex(8)}@example.com", metadata))).reason == "SIGN_IN_SLOWED"
    assert await ask(f"nobody-{secrets.token_hex(8)}@example.com") == Empty()


async def test_a_reset_ends_every_session_and_the_former_password(owner, link, reset, sign_in, is_over, rows):
    second = await sign_in(owner, owner.password)
    await reset(await link(owner))
    for session in (owner.session, second):
        await is_over(session)
    assert (await refused(sign_in(owner, owner.password))).reason == "CREDENTIALS_WRONG"
    assert (await sign_in(owner, NEXT)).access_token
    events = [SessionEnded.FromString(row["payload"]) for row in await rows(ENDED, owner.tenant_id)]
    assert [event.cause for event in events] == [SessionEnded.CAUSE_PASSWORD_CHANGED] * 2


async def test_a_reset_verifies_the_address_and_is_told_by_mail(new_owner, ask, reset, mailbox, me, sign_in):
    owner = await new_owner(locale="de", time_zone="Europe/Vienna")
    assert not owner.session.me.user.HasField("email_verify_time")
    await ask(owner.email)
    token = await mailbox.token(owner.email, 2)
    await reset(token)
    _, asked, told = await mailbox.wait_for(owner.email, 3)
    assert (asked.subject, told.subject) == (RESET["de"], "Ihr Passwort wurde geändert")
    assert "(Europe/Vienna)" in " ".join(told.text.split())
    assert [each.rpartition("/")[2] for each in told.links] == ["forgot-password"]
    session = await sign_in(owner, NEXT)
    assert (await me.GetMe(Empty(), metadata=bearer(session))).user.HasField("email_verify_time")


async def test_a_link_works_once(owner, link, reset, sign_in):
    token = await link(owner)
    await reset(token)
    assert is_worthless(await refused(reset(token, "yet another quiet password")))
    assert (await sign_in(owner, NEXT)).access_token


async def test_of_many_who_follow_a_link_at_once_one_is_the_first(owner, link, reset, sign_in):
    token = await link(owner)
    wanted = [f"{number} unrelated words of someone" for number in range(6)]
    answers = await asyncio.gather(*(reset(token, password) for password in wanted), return_exceptions=True)
    (winner,) = [password for password, answer in zip(wanted, answers, strict=True) if answer == Empty()]
    assert (await sign_in(owner, winner)).access_token


async def test_a_link_ends_after_its_time(owner, link, reset, sign_in, rows):
    token = await link(owner)
    (kept,) = await rows("SELECT expire_time - create_time AS lasts FROM password_resets WHERE user_id = %s", owner.user_id)
    assert kept["lasts"].total_seconds() == 600
    await rows("UPDATE password_resets SET expire_time = now() WHERE user_id = %s", owner.user_id)
    assert is_worthless(await refused(reset(token)))
    assert (await sign_in(owner, owner.password)).access_token


async def test_a_newer_link_makes_the_older_one_worthless(owner, link, reset):
    first, second = await link(owner), await link(owner, 2)
    assert is_worthless(await refused(reset(first)))
    assert await reset(second) == Empty()


@pytest.mark.parametrize("token", ["", "cpr_", "x" * 9000, "cpr_" + "ä" * 43, "cpr_" + "A" * 43])
async def test_what_was_not_mailed_resets_nothing(reset, token):
    assert is_worthless(await refused(reset(token)))


async def test_a_link_that_verifies_an_address_resets_no_password(owner, reset, mailbox):
    assert is_worthless(await refused(reset(await mailbox.token(owner.email))))


async def test_a_link_is_good_for_the_address_that_it_was_mailed_to_and_no_other(owner, link, reset, rows):
    token = await link(owner)
    other = f"other-{secrets.token_hex(8)}@example.com"
    await rows("UPDATE users SET email = %s, email_key = %s WHERE id = %s", other, other, owner.user_id)
    assert is_worthless(await refused(reset(token)))


async def test_guessing_tokens_gets_slow(reset, coming_from, rows):
    metadata = coming_from()
    for _ in range(30):
        assert is_worthless(await refused(reset(TOKENS.new(), metadata=metadata)))
    await rows(LATER, HOUR, f"reset:{address_key(dict(metadata)['x-kith-client-ip'])}")
    assert (await refused(reset(TOKENS.new(), metadata=metadata))).reason == "SIGN_IN_SLOWED"


async def test_a_good_link_is_good_from_an_address_that_is_slowed(owner, ask, link, reset, coming_from, rows):
    token, metadata = await link(owner), coming_from()
    for _ in range(30):
        await ask(f"nobody-{secrets.token_hex(8)}@example.com", metadata)
    await rows(LATER, HOUR, f"reset:{address_key(dict(metadata)['x-kith-client-ip'])}")
    assert (await refused(reset(TOKENS.new(), metadata=metadata))).reason == "SIGN_IN_SLOWED"
    assert await reset(token, metadata=metadata) == Empty()


@pytest.mark.parametrize("password", ["short", "aaaaaaaaaaaaaaaaaaaa", "we are the Blue Lantern Works", "x" * 2000])
async def test_a_weak_password_is_refused_and_leaves_the_link_good(owner, link, reset, password):
    token = await link(owner)
    refusal = await refused(reset(token, password))
    assert (refusal.code, refusal.reason, [each.field for each in refusal.fields]) == (Code.INVALID_ARGUMENT, "PASSWORD_WEAK", ["password"])
    assert (await refused(reset(token, f"my address is {owner.email}"))).reason == "PASSWORD_WEAK"
    assert await reset(token) == Empty()


async def test_a_reset_forgives_what_others_guessed_at_sign_in(owner, link, reset, sign_in, rows):
    for _ in range(ACCOUNT.free):
        await refused(sign_in(owner, "guess"))
    await rows(LATER, HOUR, account_key(owner.email))
    assert (await refused(sign_in(owner, owner.password))).reason == "SIGN_IN_SLOWED"
    await reset(await link(owner))
    assert (await sign_in(owner, NEXT)).access_token


async def test_signing_in_while_the_password_is_reset_leaves_no_session_of_the_former_one(owner, link, reset, sign_in, rows):
    token = await link(owner)
    tries = [sign_in(owner, owner.password) for _ in range(4)]
    await asyncio.gather(reset(token), *tries, return_exceptions=True)
    assert await rows("SELECT id FROM sessions WHERE user_id = %s AND end_time IS NULL", owner.user_id) == []


async def test_a_reset_that_breaks_off_at_its_last_steps_changes_nothing(owner, link, reset, sign_in, mailbox, admin_dsn, rows):
    token = await link(owner)
    async with await psycopg.AsyncConnection.connect(admin_dsn("identity")) as connection:
        await connection.execute("SELECT 1 FROM sessions WHERE user_id = %s FOR UPDATE", [owner.user_id])
        assert not is_worthless(await refused(reset(token)))  # it waits for its session in vain
        assert await rows("SELECT 1 FROM audit_log WHERE tenant_id = %s AND action = 'ResetPassword'", owner.tenant_id) == []
        assert (await sign_in(owner, owner.password)).access_token
    assert await reset(token) == Empty()
    assert len(await mailbox.wait_for(owner.email, 3)) == 3


async def test_a_reset_leaves_its_trail_without_a_secret(owner, link, reset, rows):
    token = await link(owner)
    await reset(token)
    query = "SELECT t::text AS line, action, actor_kind, resource_id, after FROM audit_log t WHERE tenant_id = %s ORDER BY id"
    trail = await rows(query, owner.tenant_id)
    found = {row["action"]: row for row in trail}
    assert found["RequestPasswordReset"]["after"] == {"outcome": "mailed"}
    assert (found["ResetPassword"]["resource_id"], found["ResetPassword"]["after"]) == (owner.user_id, {"outcome": "reset"})
    assert [row["action"] for row in trail].count("identity.session.ended.v1") == 1
    assert not [secret for secret in (owner.email, token, NEXT) for row in trail if secret in row["line"]]


async def test_no_token_and_no_password_is_written_down(owner, link, reset, rows):
    token = await link(owner)
    tables = ("users", "passwords", "password_resets", "mails", "audit_log", "outbox", "attempts")
    before = [str(await rows(f"SELECT t::text FROM {table} t")) for table in tables]
    await reset(token)
    written = "".join(before + [str(await rows(f"SELECT t::text FROM {table} t")) for table in tables])
    assert owner.user_id in written
    assert not [secret for secret in (token, NEXT) if secret in written]


async def test_that_links_were_mailed_is_forgotten_after_a_day(owner, new_owner, link, rows, dsn):
    other = await new_owner()
    for each in (owner, other):
        await link(each)
    await rows("UPDATE password_resets SET create_time = create_time - interval '24 hours' WHERE user_id = %s", owner.user_id)
    async with Database(dsn("identity", "runtime")) as database:
        enter(Request(request_id=ids.new(), database=database))
        await purge_resets()
    assert (await rows(COUNT, owner.user_id), await rows(COUNT, other.user_id)) == ([{"count": 0}], [{"count": 1}])
