"""What is written down of a message never holds a personal or secret value."""

from google.protobuf.message import Message
from hypothesis import given
from hypothesis import strategies as st

from chassis.redaction import MASK, redacted
from kith.crm.v1.contacts_pb2 import Contact
from kith.identity.v1.auth_pb2 import RegisterRequest, Session

PLANTED = "planted-canary"


def test_personal_values_are_masked_at_every_depth_and_the_rest_stays() -> None:
    contact = Contact(
        given_name=PLANTED,
        family_name=PLANTED,
        emails=[{"address": PLANTED, "label": "work"}],
        phones=[{"number": PLANTED, "e164": PLANTED}],
        address={"lines": [PLANTED], "city": PLANTED, "region": "GB"},
        social_profiles=[{"network": "n", "url": PLANTED}],
        source="fair",
        create_time={"seconds": 1},
    )
    written = redacted(contact)
    assert PLANTED not in str(written)
    assert written["given_name"] == MASK
    assert written["emails"] == [{"address": MASK, "label": "work"}]
    assert written["address"]["region"] == "GB"
    assert written["source"] == "fair"
    assert written["create_time"] == "1970-01-01T00:00:01Z"


@given(st.sampled_from([RegisterRequest(password=PLANTED, email=PLANTED), Session(access_token=PLANTED, refresh_token=PLANTED)]))
def test_secrets_are_masked(message: Message) -> None:
    assert PLANTED not in str(redacted(message))
