"""ID-11: who is in danger is told by mail, at an address that is theirs."""

import pytest

from kith.identity.v1.auth_pb2 import RefreshRequest
from tests.patience import SECONDS
from tests.service.calls import refused


@pytest.fixture
def reuse(auth):
    """`await reuse(owner)` shows a token again that was rotated long ago."""

    async def run(owner) -> None:
        first = owner.session.refresh_token
        second = (await auth.Refresh(RefreshRequest(refresh_token=first), timeout=SECONDS)).refresh_token
        await auth.Refresh(RefreshRequest(refresh_token=second), timeout=SECONDS)
        await refused(auth.Refresh(RefreshRequest(refresh_token=first), timeout=SECONDS))

    return run


async def test_a_session_in_two_hands_is_told_to_its_person(edge, new_owner, reuse, mailbox, coming_from):
    metadata = (*coming_from(), ("x-kith-user-agent", "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0"))
    owner = await new_owner(metadata, locale="de", time_zone="Europe/Vienna")
    token = await mailbox.token(owner.email)
    assert (await edge.post("/v1/auth:verifyEmail", json={"token": token})).is_success
    await reuse(owner)
    _, warning = await mailbox.wait_for(owner.email, 2)
    assert warning.subject == "Eine Ihrer Sitzungen wurde beendet"
    assert "Firefox, Linux" in warning.text
    assert "(Europe/Vienna)" in " ".join(warning.text.split())
    assert [link.rpartition("/")[2] for link in warning.links] == ["sessions"]


async def test_an_address_that_nobody_verified_is_not_warned(owner, new_owner, reuse, mailbox):
    await reuse(owner)
    later = await new_owner()
    await mailbox.wait_for(later.email)  # mails go in their order, but for those that are tried again
    assert [mail.subject for mail in mailbox.to(owner.email)] == ["Confirm your email address"]
