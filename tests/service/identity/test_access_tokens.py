"""ID-10, ID-13: an access token says the least that is needed, and the published keys prove it."""

import orjson
import pytest
from google.protobuf.empty_pb2 import Empty
from joserfc import jws
from joserfc.jwk import ECKey, KeySet

from chassis.errors import Code
from kith.identity.v1.auth_pb2 import RefreshRequest
from tests.service.calls import refused


@pytest.fixture
async def key_set(auth):
    answer = await auth.GetKeySet(Empty())
    assert answer.content_type == "application/jwk-set+json"
    return orjson.loads(answer.data)


async def test_the_key_set_holds_the_public_half_of_the_active_and_the_next_key(key_set):
    assert len(key_set["keys"]) >= 2
    for key in key_set["keys"]:
        assert key.keys() == {"kty", "crv", "x", "y", "kid", "use", "alg"}
        assert (key["use"], key["alg"], key["crv"]) == ("sig", "ES256", "P-256")
        assert key["kid"] == ECKey.import_key(key).thumbprint()


async def test_a_token_says_who_where_what_and_until_when_and_nothing_else(owner, key_set, platform):
    token = jws.deserialize_compact(owner.session.access_token, KeySet.import_key_set(key_set), algorithms=["ES256"])
    assert token.headers()["typ"] == "at+jwt"
    said = orjson.loads(token.payload)
    expected = {"iss", "sub", "aud", "exp", "iat", "nbf", "jti", "sid", "tid", "mid", "pb", "cv", "pv", "amr", "acr", "auth_time"}
    assert said.keys() == expected
    assert (said["iss"], said["aud"]) == (platform.public_url, "kith")
    assert (said["sub"], said["tid"]) == (owner.user_id, owner.tenant_id)
    assert said["exp"] - said["iat"] == 600
    assert owner.email not in str(said)


async def test_the_session_stays_the_same_and_the_time_of_signing_in_too(owner, auth, key_set):
    keys = KeySet.import_key_set(key_set)
    renewed = await auth.Refresh(RefreshRequest(refresh_token=owner.session.refresh_token))
    first, second = (
        orjson.loads(jws.deserialize_compact(each.access_token, keys, algorithms=["ES256"]).payload) for each in (owner.session, renewed)
    )
    assert (first["sid"], first["auth_time"]) == (second["sid"], second["auth_time"])
    assert first["jti"] != second["jti"]


async def test_nobody_is_somebody_without_a_token(me):
    assert (await refused(me.GetMe(Empty()))).code == Code.UNAUTHENTICATED
