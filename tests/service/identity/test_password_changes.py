"""ID-2, ID-12: who knows their password changes it, which ends all their other sessions."""

import asyncio

from google.protobuf.empty_pb2 import Empty

from chassis.errors import Code
from kith.identity.v1.events_pb2 import SessionEnded
from services.identity.attempts.rules import ACCOUNT, account_key
from tests.service.calls import refused
from tests.service.identity.people import bearer
from tests.service.identity.replacing import ENDED, HOUR, LATER, NEXT, is_worthless


async def test_a_change_keeps_this_session_and_ends_all_others(owner, change, sign_in, is_over, me, rows):
    second = await sign_in(owner, owner.password)
    await change(owner.session, owner.password)
    await is_over(second)
    assert (await me.GetMe(Empty(), metadata=bearer(owner.session))).user.id == owner.user_id
    assert (await refused(sign_in(owner, owner.password))).reason == "CREDENTIALS_WRONG"
    assert (await sign_in(owner, NEXT)).access_token
    events = [SessionEnded.FromString(row["payload"]) for row in await rows(ENDED, owner.tenant_id)]
    assert [event.cause for event in events] == [SessionEnded.CAUSE_PASSWORD_CHANGED]


async def test_a_change_over_rest_is_told_to_a_verified_address(edge, register, mailbox):
    person = await register()
    assert (await edge.post("/v1/auth:verifyEmail", json={"token": await mailbox.token(person.email)})).is_success
    said = {"currentPassword": person.password, "newPassword": NEXT}
    answer = await edge.post("/v1/me:changePassword", json=said, headers=person.headers)
    assert (answer.status_code, answer.json()) == (200, {})
    _, told = await mailbox.wait_for(person.email, 2)
    assert told.subject == "Your password was changed"
    assert (await edge.post("/v1/me:changePassword", json=said)).status_code == 401


async def test_a_change_needs_the_password_in_use(owner, change, rows):
    refusal = await refused(change(owner.session, "not my password"))
    assert (refusal.code, refusal.reason) == (Code.INVALID_ARGUMENT, "CREDENTIALS_WRONG")
    assert [each.field for each in refusal.fields] == ["current_password"]
    trail = await rows("SELECT actor_id::text, after FROM audit_log WHERE tenant_id = %s AND action = 'ChangePassword'", owner.tenant_id)
    assert trail == [{"actor_id": owner.user_id, "after": {"outcome": "refused"}}]
    assert await change(owner.session, owner.password) == Empty()


async def test_a_change_takes_no_weak_password(owner, change, sign_in):
    refusal = await refused(change(owner.session, owner.password, "short"))
    assert (refusal.reason, [each.field for each in refusal.fields]) == ("PASSWORD_WEAK", ["new_password"])
    assert (await sign_in(owner, owner.password)).access_token


async def test_a_weak_password_is_no_wrong_guess(owner, change, rows):
    await refused(change(owner.session, "guess"))
    for _ in range(ACCOUNT.free):
        assert (await refused(change(owner.session, owner.password, "short"))).reason == "PASSWORD_WEAK"
        assert await rows("SELECT failures FROM attempts WHERE key = %s", f"change:{account_key(owner.user_id)}") == []
    assert await change(owner.session, owner.password) == Empty()


async def test_guessing_the_password_in_a_session_gets_slow_and_is_over_when_the_answer_says(owner, change, sign_in, rows):
    for _ in range(ACCOUNT.free):
        await refused(change(owner.session, "guess"))
    key = f"change:{account_key(owner.user_id)}"
    await rows(LATER, HOUR, key)
    slowed = await refused(change(owner.session, owner.password))
    assert (slowed.code, slowed.reason) == (Code.RESOURCE_EXHAUSTED, "SIGN_IN_SLOWED")
    assert (await sign_in(owner, owner.password)).access_token
    await rows(LATER, -slowed.retry_after, key)
    assert await change(owner.session, owner.password) == Empty()


async def test_of_two_changes_at_once_one_is_the_first(owner, change, sign_in):
    wanted = [f"{number} unrelated words of someone" for number in range(3)]
    answers = await asyncio.gather(*(change(owner.session, owner.password, each) for each in wanted), return_exceptions=True)
    (winner,) = [password for password, answer in zip(wanted, answers, strict=True) if answer == Empty()]
    assert (await sign_in(owner, winner)).access_token


async def test_a_change_makes_a_mailed_link_worthless(owner, link, change, reset):
    token = await link(owner)
    await change(owner.session, owner.password)
    assert is_worthless(await refused(reset(token, "yet another quiet password")))


async def test_resets_and_changes_at_once_leave_one_password_and_no_deadlock(owner, link, change, reset, sign_in):
    token = await link(owner)
    one, two = "one unrelated word of someone", "two unrelated words of someone"
    answers = await asyncio.gather(reset(token, one), change(owner.session, owner.password, two), return_exceptions=True)
    won = [password for password, answer in zip((one, two), answers, strict=True) if answer == Empty()]
    assert won
    signed = await asyncio.gather(*(sign_in(owner, password) for password in (one, two)), return_exceptions=True)
    assert sum(not isinstance(each, Exception) for each in signed) == 1
