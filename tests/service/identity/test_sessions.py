"""ID-10, ID-11: a refresh token has one successor, in two hands it ends the session, forged it does nothing."""

import asyncio
import secrets

import pytest
from google.protobuf.empty_pb2 import Empty
from grpc import StatusCode, aio

from chassis.errors import Code
from kith.identity.v1.auth_pb2 import RefreshRequest, SignOutRequest
from kith.identity.v1.events_pb2 import SessionEnded
from kith.identity.v1.members_pb2 import Role
from services.identity.sessions.refresh_tokens import RefreshToken
from tests.patience import SECONDS
from tests.service.calls import refused
from tests.service.identity.people import bearer
from tests.unit.chassis.moving import eventually

ENDED = "SELECT payload FROM outbox WHERE tenant_id = %s AND subject LIKE 'kith.identity.session.ended.%%'"


@pytest.fixture
def refresh(auth):
    def call(token, metadata=None):
        return auth.Refresh(RefreshRequest(refresh_token=token), metadata=metadata, timeout=SECONDS)

    return call


@pytest.fixture
def sign_out(auth):
    return lambda token: auth.SignOut(SignOutRequest(refresh_token=token), timeout=SECONDS)


async def test_refreshing_gives_a_new_access_token_and_the_successor(owner, refresh, me):
    session = await refresh(owner.session.refresh_token)
    assert session.refresh_token != owner.session.refresh_token
    assert session.access_token != owner.session.access_token
    assert await me.GetMe(Empty(), metadata=bearer(session)) == owner.session.me


async def test_sixteen_tabs_at_once_get_one_successor(owner, refresh, rows):
    token = owner.session.refresh_token
    for generation in range(1, 6):
        answers = await asyncio.gather(*(refresh(token) for _ in range(16)))
        assert len({answer.refresh_token for answer in answers}) == 1
        token = answers[0].refresh_token
        kept = await rows("SELECT generation, replays FROM sessions WHERE user_id = %s", owner.user_id)
        assert kept == [{"generation": generation, "replays": 15}]


async def test_a_rotated_token_that_comes_back_ends_the_session_of_both(owner, refresh, rows):
    second = (await refresh(owner.session.refresh_token)).refresh_token
    third = (await refresh(second)).refresh_token
    reuse = await refused(refresh(owner.session.refresh_token))
    assert (reuse.code, reuse.reason) == (Code.UNAUTHENTICATED, "SESSION_INVALID")
    assert (await refused(refresh(third))).reason == "SESSION_INVALID"
    events = [SessionEnded.FromString(row["payload"]) for row in await rows(ENDED, owner.tenant_id)]
    assert [event.cause for event in events] == [SessionEnded.CAUSE_REUSE]
    trail = await rows("SELECT resource_id, method FROM audit_log WHERE tenant_id = %s AND action LIKE '%%ended%%'", owner.tenant_id)
    assert trail == [{"resource_id": events[0].session_id, "method": "kith.identity.v1.AuthService/Refresh"}]


async def test_a_rotated_token_is_forgiven_for_ten_seconds_and_no_longer(owner, refresh, rows):
    successor = (await refresh(owner.session.refresh_token)).refresh_token
    assert (await refresh(owner.session.refresh_token)).refresh_token == successor
    await rows("UPDATE sessions SET rotate_time = rotate_time - interval '10 seconds' WHERE user_id = %s", owner.user_id)
    assert (await refused(refresh(owner.session.refresh_token))).reason == "SESSION_INVALID"
    assert (await refused(refresh(successor))).reason == "SESSION_INVALID"


async def test_a_forged_token_does_nothing_but_count_against_its_address(owner, refresh, coming_from, rows):
    ours = RefreshToken.parse(owner.session.refresh_token)
    forged = ours._replace(secret=secrets.token_bytes(32)).text()
    assert (await refused(refresh(forged, coming_from("192.0.2.77")))).reason == "SESSION_INVALID"
    assert await rows("SELECT 1 FROM attempts WHERE key = 'address:192.0.2.77' AND failures > 0")
    assert (await refresh(owner.session.refresh_token)).refresh_token
    assert await rows(ENDED, owner.tenant_id) == []


@pytest.mark.parametrize(
    "token", ["", "crt_", "garbage", RefreshToken(bytes(16), 0, bytes(32)).text()], ids=["empty", "prefix", "garbage", "stranger"]
)
async def test_what_was_never_ours_is_refused(refresh, token):
    answer = await refused(refresh(token))
    assert (answer.code, answer.reason) == (Code.UNAUTHENTICATED, "SESSION_INVALID")


async def test_an_expired_session_is_not_renewed(owner, refresh, rows):
    await rows("UPDATE sessions SET idle_expire_time = now() WHERE user_id = %s", owner.user_id)
    assert (await refused(refresh(owner.session.refresh_token))).reason == "SESSION_INVALID"


async def test_the_role_is_read_again_at_every_refresh(owner, refresh, rows):
    await rows("UPDATE memberships SET role = 'read_only', version = version + 1 WHERE id = %s", owner.user_id)
    session = await refresh(owner.session.refresh_token)
    assert session.me.role == Role.ROLE_READ_ONLY
    assert set(session.me.permissions) < set(owner.session.me.permissions)
    await rows("DELETE FROM memberships WHERE id = %s", owner.user_id)
    assert (await refused(refresh(session.refresh_token))).reason == "SESSION_INVALID"


async def test_signing_out_ends_the_session_and_is_said_once(owner, refresh, sign_out, rows):
    await sign_out(owner.session.refresh_token)
    await sign_out(owner.session.refresh_token)
    assert (await refused(refresh(owner.session.refresh_token))).reason == "SESSION_INVALID"
    events = [SessionEnded.FromString(row["payload"]) for row in await rows(ENDED, owner.tenant_id)]
    assert [event.cause for event in events] == [SessionEnded.CAUSE_SIGN_OUT]


async def test_a_former_token_signs_out_too_and_a_forged_one_does_not(owner, refresh, sign_out):
    ours = RefreshToken.parse(owner.session.refresh_token)
    second = (await refresh(owner.session.refresh_token)).refresh_token
    await sign_out(ours._replace(secret=secrets.token_bytes(32)).text())
    third = (await refresh(second)).refresh_token
    await sign_out(owner.session.refresh_token)
    assert (await refused(refresh(third))).reason == "SESSION_INVALID"


async def test_signing_out_without_a_session_is_no_error(sign_out):
    await sign_out("")
    await sign_out("garbage")
    await sign_out(RefreshToken.first(secrets.token_bytes(16)).text())


async def test_an_ended_session_is_served_no_longer_although_its_access_token_lasts(owner, sign_out, me):
    async def is_served() -> bool:
        try:
            await me.GetMe(Empty(), metadata=bearer(owner.session))
        except aio.AioRpcError as error:
            return error.code() != StatusCode.UNAUTHENTICATED
        return True

    assert await is_served()
    await sign_out(owner.session.refresh_token)

    async def is_over() -> bool:
        return not await is_served()

    await eventually(is_over, pause=0.05)  # its access token would last ten minutes
