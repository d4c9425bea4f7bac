"""ID-3: the answer and its work are the same for a wrong password and an unknown email, and guessing gets slow."""

import asyncio
import secrets

import pytest
from argon2 import PasswordHasher
from google.protobuf.empty_pb2 import Empty

from chassis.errors import Code
from kith.identity.v1.auth_pb2 import SignInRequest
from services.identity.attempts.rules import ACCOUNT, account_key, address_key
from tests.patience import SECONDS
from tests.service.calls import refused
from tests.service.identity.people import bearer

HOUR = 3600.0
MORE_IN_A_MINUTE = 6  # guesses: after one second, two, four and so on


@pytest.fixture
def sign_in(auth):
    def call(email, password, metadata=None):
        return auth.SignIn(SignInRequest(email=email, password=password), metadata=metadata, timeout=SECONDS)

    return call


@pytest.fixture
def later(rows):
    """`await later(key)` lets the attempts under a key be an hour younger: on a slow machine a wait of one second would be over."""
    sql = "UPDATE attempts SET last_time = last_time + make_interval(secs => %s) WHERE key = %s RETURNING failures"

    async def move(key, seconds=HOUR):
        assert len(await rows(sql, seconds, key)) == 1

    return move


async def test_signing_in_opens_a_session_of_its_own(owner, sign_in, me):
    first, second = await sign_in(owner.email, owner.password), await sign_in(f" {owner.email.upper()} ", owner.password)
    assert len({owner.session.refresh_token, first.refresh_token, second.refresh_token}) == 3
    assert await me.GetMe(Empty(), metadata=bearer(second)) == owner.session.me


async def test_a_wrong_password_and_an_unknown_email_get_the_same_answer(owner, sign_in):
    wrong = await refused(sign_in(owner.email, "not my password"))
    unknown = await refused(sign_in(f"nobody-{secrets.token_hex(8)}@example.com", owner.password))
    assert (wrong.code, wrong.reason) == (Code.UNAUTHENTICATED, "CREDENTIALS_WRONG")
    assert (wrong.code, vars(wrong)) == (unknown.code, vars(unknown))


async def test_what_is_no_address_is_refused_as_such(sign_in):
    refusal = await refused(sign_in("nobody", "whatever"))
    assert (refusal.code, [each.field for each in refusal.fields]) == (Code.INVALID_ARGUMENT, ["email"])


async def test_guessing_gets_slow_even_with_the_right_password_and_is_over_when_the_answer_says(owner, sign_in, coming_from, later):
    for _ in range(ACCOUNT.free):
        assert (await refused(sign_in(owner.email, "guess", coming_from()))).reason == "CREDENTIALS_WRONG"
    await later(account_key(owner.email))
    slowed = await refused(sign_in(owner.email, owner.password, coming_from()))
    assert (slowed.code, slowed.reason) == (Code.RESOURCE_EXHAUSTED, "SIGN_IN_SLOWED")
    assert HOUR - SECONDS < slowed.retry_after <= HOUR + 1
    await later(account_key(owner.email), -slowed.retry_after)
    assert (await sign_in(owner.email, owner.password, coming_from())).access_token
    assert (await refused(sign_in(owner.email, "guess", coming_from()))).reason == "CREDENTIALS_WRONG"


async def test_an_owner_at_a_familiar_address_does_not_wait_for_strangers(new_owner, sign_in, coming_from, later):
    home = coming_from()
    owner = await new_owner(metadata=home)
    for _ in range(ACCOUNT.free):
        await refused(sign_in(owner.email, "guess", coming_from()))
    await later(account_key(owner.email))
    assert (await refused(sign_in(owner.email, owner.password, coming_from()))).reason == "SIGN_IN_SLOWED"
    assert (await sign_in(owner.email, owner.password, home)).access_token


async def test_an_unknown_account_gets_slow_in_the_same_way(sign_in, coming_from, later):
    email = f"nobody-{secrets.token_hex(8)}@example.com"
    answers = [(await refused(sign_in(email, "guess", coming_from()))).reason for _ in range(ACCOUNT.free)]
    assert answers == ["CREDENTIALS_WRONG"] * ACCOUNT.free
    await later(account_key(email))
    assert (await refused(sign_in(email, "guess", coming_from()))).reason == "SIGN_IN_SLOWED"


async def test_many_guesses_at_once_are_as_many_guesses(owner, sign_in, coming_from):
    guesses = [refused(sign_in(owner.email, "guess", coming_from())) for _ in range(20)]
    reasons = [each.reason for each in await asyncio.gather(*guesses)]
    guessed = reasons.count("CREDENTIALS_WRONG")
    assert ACCOUNT.free <= guessed <= ACCOUNT.free + MORE_IN_A_MINUTE
    assert reasons.count("SIGN_IN_SLOWED") == 20 - guessed


async def test_an_address_that_fails_on_many_accounts_gets_slow_and_others_do_not(sign_in, coming_from, later):
    def guess(metadata):
        return refused(sign_in(f"nobody-{secrets.token_hex(8)}@example.com", "guess", metadata))

    metadata = coming_from()
    failures = [await guess(metadata) for _ in range(30)]
    assert {each.reason for each in failures} == {"CREDENTIALS_WRONG"}
    await later(address_key(dict(metadata)["x-kith-client-ip"]))
    assert (await guess(metadata)).reason == "SIGN_IN_SLOWED"
    assert (await guess(coming_from())).reason == "CREDENTIALS_WRONG"


async def test_many_colleagues_sign_in_at_once_from_one_address(new_owner, sign_in, coming_from):
    metadata = coming_from()
    owners = [await new_owner() for _ in range(8)]
    sessions = await asyncio.gather(*(sign_in(owner.email, owner.password, metadata) for owner in owners for _ in range(4)))
    assert len({session.refresh_token for session in sessions}) == 32


async def test_every_attempt_on_an_account_stands_in_its_trail(owner, sign_in, rows):
    await refused(sign_in(owner.email, "not my password"))
    await sign_in(owner.email, owner.password)
    sql = "SELECT actor_kind, actor_id::text, resource_id, after FROM audit_log WHERE tenant_id = %s AND action = 'SignIn' ORDER BY id"
    failed, succeeded = await rows(sql, owner.tenant_id)
    assert failed == {"actor_kind": "anonymous", "actor_id": "", "resource_id": owner.user_id, "after": {"outcome": "refused"}}
    assert succeeded == {
        "actor_kind": "user",
        "actor_id": owner.user_id,
        "resource_id": owner.user_id,
        "after": {"outcome": "signed_in"},
    }


async def test_a_hash_of_other_parameters_is_renewed_at_the_next_sign_in(owner, sign_in, rows):
    old = PasswordHasher(time_cost=1, memory_cost=8192, parallelism=1).hash(owner.password)
    await rows("UPDATE passwords SET hash = %s WHERE user_id = %s", old, owner.user_id)
    assert (await sign_in(owner.email, owner.password)).access_token
    kept = await rows("SELECT hash FROM passwords WHERE user_id = %s", owner.user_id)
    assert kept[0]["hash"].startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert (await sign_in(owner.email, owner.password)).access_token
