"""A service is believed only with a token of its own key, for this service, in its time."""

import json

import pytest

from chassis import ids
from chassis.errors import Unauthenticated
from chassis.tokens import claims, jws
from chassis.tokens.service import KIND, LIFETIME, RENEWED, ServiceSigner, ServiceVerifier, new_key, public_key_set
from tests.unit.chassis.moving import START, Clock

CRM = new_key("crm")
AI = new_key("ai")
KEY_SET = json.dumps(public_key_set([CRM, AI])).encode()


@pytest.fixture
def signer(time: Clock) -> ServiceSigner:
    return ServiceSigner(service="crm", key=CRM)


@pytest.fixture
def verifier() -> ServiceVerifier:
    return ServiceVerifier(audience="identity", key_set=KEY_SET)


def test_the_caller_is_named(signer: ServiceSigner, verifier: ServiceVerifier) -> None:
    tenant = ids.new()
    assert verifier.verify(signer.token("identity")).service == "crm"
    assert verifier.verify(signer.token("identity")).tenant_id == ""
    assert verifier.verify(signer.token("identity", tenant)).tenant_id == tenant


def test_a_token_is_made_once_in_its_time(signer: ServiceSigner, time: Clock) -> None:
    first = signer.token("identity")
    assert signer.token("identity") == first
    assert signer.token("billing") != first
    time.forward(LIFETIME - RENEWED)
    assert signer.token("identity") != first


def test_a_token_for_another_service_is_refused(signer: ServiceSigner, verifier: ServiceVerifier) -> None:
    with pytest.raises(Unauthenticated):
        verifier.verify(signer.token("billing"))


def test_a_service_cannot_speak_for_another(verifier: ServiceVerifier, time: Clock) -> None:
    with pytest.raises(Unauthenticated, match="another issuer"):
        verifier.verify(ServiceSigner(service="crm", key=AI).token("identity"))


def test_an_unknown_key_is_refused(verifier: ServiceVerifier, time: Clock) -> None:
    with pytest.raises(Unauthenticated, match="key is unknown"):
        verifier.verify(ServiceSigner(service="crm", key=new_key("crm")).token("identity"))


def test_a_remembered_token_ends_with_its_time(signer: ServiceSigner, verifier: ServiceVerifier, time: Clock) -> None:
    token = signer.token("identity")
    verifier.verify(token)
    time.forward(LIFETIME + claims.SKEW)
    with pytest.raises(Unauthenticated, match="expired"):
        verifier.verify(token)


@pytest.mark.parametrize(
    "changes", [{"exp": 10**11}, {"exp": None}, {"tid": "x"}, {"aud": ["identity"]}, {"nbf": int(START.timestamp()) + 60}], ids=str
)
def test_a_claim_of_another_form_is_refused(verifier: ServiceVerifier, time: Clock, changes: dict[str, object]) -> None:
    now = int(START.timestamp())
    said = {"iss": "crm", "aud": "identity", "iat": now, "nbf": now, "exp": now + 60, **changes}
    with pytest.raises(Unauthenticated):
        verifier.verify(jws.sign(said, kind=KIND, key=CRM))


def test_an_access_token_is_no_service_token(verifier: ServiceVerifier, time: Clock) -> None:
    now = int(START.timestamp())
    said = {"iss": "crm", "aud": "identity", "iat": now, "nbf": now, "exp": now + 60}
    with pytest.raises(Unauthenticated, match="another kind"):
        verifier.verify(jws.sign(said, kind=claims.KIND, key=CRM))


def test_a_megabyte_is_refused(verifier: ServiceVerifier) -> None:
    with pytest.raises(Unauthenticated, match="too long"):
        verifier.verify("a" * 1_000_000)


def test_the_key_set_holds_no_private_half() -> None:
    assert b'"d"' not in KEY_SET
