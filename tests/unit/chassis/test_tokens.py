"""Every rule that an access token must keep, broken one at a time (reference/identity.md 3.1)."""

import base64
import hmac
import json
from collections.abc import Callable
from hashlib import sha256
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st
from joserfc.jwk import ECKey

from chassis import ids
from chassis.errors import Reason, Unauthenticated
from chassis.tokens import claims, jws, permissions
from chassis.tokens.bearer import bearer
from chassis.tokens.claims import AccessToken
from chassis.tokens.keyset import KeySet
from chassis.tokens.revoked import REMEMBERED, Revoked
from chassis.tokens.verify import Verifier
from tests.unit.chassis.moving import START, Clock

ISSUER = "https://kith.example"
NOW = int(START.timestamp())


def new_key(key_id: str) -> ECKey:
    return ECKey.import_key({**ECKey.generate_key("P-256").as_dict(private=True), "kid": key_id})


KEY = new_key("one")
OTHER_KEY = new_key("two")


def base64url(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def forge(payload: object, header: object = None, *, key: ECKey = KEY) -> str:
    """Sign whatever bytes a test wants, past every check that the signing side has."""
    head = header if header is not None else {"alg": "ES256", "kid": key.kid, "typ": "at+jwt"}
    parts = [base64url(each if isinstance(each, bytes) else json.dumps(each).encode()) for each in (head, payload)]
    signed = ".".join(parts)
    r, s = decode_dss_signature(key.private_key.sign(signed.encode(), ECDSA(hashes.SHA256())))
    return f"{signed}.{base64url(r.to_bytes(32, 'big') + s.to_bytes(32, 'big'))}"


def good_claims(**changes: Any) -> dict[str, Any]:
    token = AccessToken(
        token_id=ids.new(),
        tenant_id=ids.new(),
        user_id=ids.new(),
        member_id=ids.new(),
        session_id=ids.new(),
        permissions=permissions.of([1, 5]),
        catalogue_version=1,
        permission_version=1,
        methods=("pwd",),
        assurance="1",
        auth_time=NOW,
        issued=NOW,
        expires=NOW + claims.LIFETIME,
    )
    return {**token.claims(issuer=ISSUER), **changes}


class Published:
    """The issuer's key set as the network would answer it."""

    def __init__(self, *keys: ECKey) -> None:
        self.keys = list(keys)
        self.fetches = 0

    async def __call__(self) -> bytes:
        self.fetches += 1
        return json.dumps({"keys": [key.as_dict(private=False) for key in self.keys]}).encode()


@pytest.fixture
def published() -> Published:
    return Published(KEY)


@pytest.fixture
def keys(published: Published) -> KeySet:
    return KeySet(published)


@pytest.fixture
def revoked() -> Revoked:
    return Revoked()


@pytest.fixture
def verifier(keys: KeySet, revoked: Revoked, time: Clock) -> Verifier:
    return Verifier(issuer=ISSUER, keys=keys, revoked=revoked)


async def refused(verifier: Verifier, token: str) -> None:
    for _ in range(2):  # the second time would be answered from memory, if a bad token got there
        with pytest.raises(Unauthenticated) as caught:
            await verifier.verify(token)
        assert caught.value.reason is Reason.TOKEN_INVALID


async def test_what_was_signed_is_what_is_read(verifier: Verifier) -> None:
    said = good_claims()
    token = await verifier.verify(jws.sign(said, kind=claims.KIND, key=KEY))
    assert token.claims(issuer=ISSUER) == said
    assert permissions.has(token.permissions, 5)
    assert not permissions.has(token.permissions, 2)


@pytest.mark.parametrize(
    "changes",
    [
        {"iss": "https://else.example"},
        {"iss": None},
        {"aud": "another"},
        {"aud": ["kith"]},
        {"exp": 1e30},
        {"exp": str(NOW + 60)},
        {"exp": NOW + 60.5},
        {"exp": True},
        {"exp": 10**400},
        {"exp": NOW - 31, "iat": NOW - 100},
        {"exp": NOW + claims.MAX_LIFETIME + 1},
        {"exp": NOW},
        {"iat": NOW + 31, "exp": NOW + 60},
        {"iat": -1},
        {"nbf": NOW + 31},
        {"nbf": "0"},
        {"sub": "root"},
        {"sub": "0197AD3A-0000-7000-8000-000000000000"},
        {"tid": ""},
        {"tid": ["a"]},
        {"sid": 7},
        {"jti": None},
        {"pb": "AQ"},
        {"pb": "AgA"},
        {"pb": "Ag=="},
        {"pb": "A" * 200},
        {"pb": "\ud800"},
        {"amr": "pwd"},
        {"amr": [1]},
        {"auth_time": None},
    ],
    ids=str,
)
async def test_a_claim_of_another_form_is_refused(verifier: Verifier, changes: dict[str, Any]) -> None:
    await refused(verifier, forge(good_claims(**changes)))


@pytest.mark.parametrize("name", sorted(good_claims()))
async def test_every_claim_is_required(verifier: Verifier, name: str) -> None:
    said = good_claims()
    del said[name]
    await refused(verifier, forge(said))


@pytest.mark.parametrize(
    "header",
    [
        {"alg": "none", "kid": "one", "typ": "at+jwt"},
        {"alg": "RS256", "kid": "one", "typ": "at+jwt"},
        {"alg": "es256", "kid": "one", "typ": "at+jwt"},
        {"alg": "ES256", "kid": "one", "typ": "JWT"},
        {"alg": "ES256", "kid": "one", "typ": "svc+jwt"},
        {"alg": "ES256", "kid": "one"},
        {"alg": "ES256", "typ": "at+jwt"},
        {"alg": "ES256", "kid": 1, "typ": "at+jwt"},
        {"alg": "ES256", "kid": "three", "typ": "at+jwt"},
        {"alg": "ES256", "kid": "../one", "typ": "at+jwt"},
        {"alg": "ES256", "kid": "one", "typ": "at+jwt", "crit": []},
        {"alg": "ES256", "kid": "one", "typ": "at+jwt", "crit": ["exp"], "exp": 1},
        {"alg": "ES256", "kid": "one", "typ": "at+jwt", "b64": False},
        {"alg": "ES256", "kid": "one", "typ": "at+jwt", "jku": "https://else.example"},
        pytest.param({"alg": "ES256", "kid": "one", "typ": "at+jwt", "jwk": KEY.as_dict(private=False)}, id="a key of its own"),
        b'{"alg":"none","alg":"ES256","kid":"one","typ":"at+jwt"}',
        '{"alg":"ES256","kid":"one","typ":"at+jwt"}'.encode("utf-16"),
        b'[["alg","ES256"],["kid","one"],["typ","at+jwt"]]',
        b"\xff\xfe",
    ],
    ids=str,
)
async def test_a_header_of_another_form_is_refused(verifier: Verifier, header: object) -> None:
    await refused(verifier, forge(good_claims(), header))


async def test_no_signature_is_refused(verifier: Verifier) -> None:
    signed = forge(good_claims(), {"alg": "none", "kid": "one", "typ": "at+jwt"}).rpartition(".")[0]
    await refused(verifier, f"{signed}.")
    await refused(verifier, forge(good_claims()).rpartition(".")[0] + ".")


@pytest.mark.parametrize("named", ["HS256", "ES256"])
@pytest.mark.parametrize("form", [Encoding.PEM, Encoding.DER])
async def test_a_public_key_is_no_shared_secret(verifier: Verifier, form: Encoding, named: str) -> None:
    secret = KEY.public_key.public_bytes(form, PublicFormat.SubjectPublicKeyInfo)
    parts = [{"alg": named, "kid": "one", "typ": "at+jwt"}, good_claims()]
    signed = ".".join(base64url(json.dumps(each).encode()) for each in parts)
    await refused(verifier, f"{signed}.{base64url(hmac.digest(secret, signed.encode(), sha256))}")


async def test_a_signature_by_another_key_is_refused(verifier: Verifier) -> None:
    await refused(verifier, forge(good_claims(), {"alg": "ES256", "kid": "one", "typ": "at+jwt"}, key=OTHER_KEY))


@pytest.mark.parametrize(
    "payload",
    [
        json.dumps(good_claims())[:-1].encode() + b',"tid":"0197ad3a-0000-7000-8000-000000000000"}',
        json.dumps(good_claims())[:-1].encode() + b',"deep":' + b"[" * 2500 + b"]" * 2500 + b"}",
        b'{"a":' * 1000 + b"1" + b"}" * 1000,
        json.dumps(good_claims())[:-1].encode() + b',"x":NaN}',
        json.dumps(good_claims()).encode() + b"{}",
        json.dumps(good_claims()).encode("utf-16"),
        b"",
        b"null",
        b"[]",
        b'"text"',
    ],
    ids=["twice", "deep list", "deep object", "NaN", "trailing", "utf-16", "empty", "null", "list", "text"],
)
async def test_a_payload_of_another_form_is_refused(verifier: Verifier, payload: bytes) -> None:
    await refused(verifier, forge(payload))


@pytest.mark.parametrize(
    "change",
    [
        lambda token: token + "=",
        lambda token: token.replace(".", "=.", 1),
        lambda token: token + "\n",
        lambda token: " " + token,
        lambda token: token + ".",
        lambda token: token + ".e30",
        lambda token: token.replace(".", "..", 1),
        lambda token: token.split(".")[0],
        lambda token: token[:-1] + chr(ord(token[-1]) + 1),
        lambda token: token[:-3] + "\u00e9" + token[-2:],
        lambda token: token[:-3] + "\ud800" + token[-2:],
        lambda token: token[:-2] + "+/",
        lambda token: token.upper(),
        lambda _: "",
        lambda _: "..",
        lambda _: json.dumps({"payload": "", "signatures": []}),
    ],
)
async def test_another_spelling_is_refused(verifier: Verifier, change: Callable[[str], str]) -> None:
    token = forge(good_claims())
    await verifier.verify(token)
    await refused(verifier, change(token))


async def test_nine_kibibytes_are_refused_though_well_signed(verifier: Verifier) -> None:
    await refused(verifier, forge(good_claims(pad="x" * 6500)))


@given(st.text(max_size=200) | st.from_regex(r"[A-Za-z0-9_-]{0,60}\.[A-Za-z0-9_-]{0,60}\.[A-Za-z0-9_-]{0,60}", fullmatch=True))
def test_no_text_breaks_the_parser(text: str) -> None:
    with pytest.raises(Unauthenticated):
        jws.key_id(text, kind=claims.KIND)


@given(st.binary(max_size=300), st.binary(max_size=100))
def test_no_bytes_break_the_parser(header: bytes, payload: bytes) -> None:
    with pytest.raises(Unauthenticated):
        jws.key_id(forge(payload, header), kind=claims.KIND)


async def test_a_remembered_token_ends_with_its_time(verifier: Verifier, time: Clock) -> None:
    token = forge(good_claims())
    await verifier.verify(token)
    time.forward(claims.LIFETIME + claims.SKEW - 1)
    await verifier.verify(token)
    time.forward(1)
    await refused(verifier, token)


async def test_a_remembered_token_ends_with_its_session(verifier: Verifier, revoked: Revoked) -> None:
    said = good_claims()
    token = forge(said)
    await verifier.verify(token)
    revoked.add(said["sid"])
    await refused(verifier, token)


async def test_a_remembered_token_ends_with_its_key(verifier: Verifier, keys: KeySet, published: Published) -> None:
    token = forge(good_claims())
    await verifier.verify(token)
    published.keys = [OTHER_KEY]
    await keys.refresh()
    await refused(verifier, token)


def test_ended_sessions_are_forgotten_after_their_tokens(revoked: Revoked, time: Clock) -> None:
    revoked.add("early")
    time.forward(REMEMBERED - 1)
    revoked.add("late")
    assert "early" in revoked
    time.forward(2)
    revoked.add("later")
    assert "early" not in revoked
    assert len(revoked) == 2


@given(st.sets(st.integers(1, 700)))
def test_a_permission_set_survives_its_text(numbers: set[int]) -> None:
    bits = permissions.decode(permissions.encode(permissions.of(numbers)))
    assert set(permissions.numbers(bits)) == numbers
    assert all(permissions.has(bits, number) == (number in numbers) for number in range(702))


@pytest.mark.parametrize("number", [0, -1])
def test_permission_zero_is_never_granted(number: int) -> None:
    with pytest.raises(ValueError, match="no permission"):
        permissions.of([number])
    assert not permissions.has(-1, number)


@given(st.text(max_size=140))
def test_only_canonical_permission_sets_are_read(text: str) -> None:
    try:
        bits = permissions.decode(text)
    except ValueError:
        return
    assert permissions.encode(bits) == text


@pytest.mark.parametrize("value", ["Bearer abc", "bearer abc", "BEARER abc"])
def test_the_scheme_has_no_case(value: str) -> None:
    assert bearer([value]) == "abc"


def test_no_header_is_no_token() -> None:
    assert bearer([]) is None


@pytest.mark.parametrize("values", [["Bearer a", "Bearer a"], [""], ["Basic abc"], ["Bearer"], ["abc"]], ids=str)
def test_anything_but_one_bearer_token_is_refused(values: list[str]) -> None:
    with pytest.raises(Unauthenticated):
        bearer(values)
