"""A mail that was committed and not sent outlives the process that was to send it."""

import secrets
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from stack.layout import Layout
from stack.state import State
from tests import running
from tests.patience import client
from tests.service.identity.mailbox import Mailbox

pytestmark = pytest.mark.full


@pytest.fixture
def data(tmp_path: Path) -> Iterator[Path]:
    """The folder of a platform of its own."""
    folder, log = tmp_path / "data", tmp_path / "up.log"
    command = [running.KITH, "up", "--no-seed", "--data", str(folder)]
    up = running.spawn(command, log)
    running.wait_until_ready(folder, up, log)
    yield folder
    up.terminate()
    up.wait(running.START_SECONDS)


async def test_a_kill_between_commit_and_sending_loses_no_mail(data: Path) -> None:
    layout = Layout(data)
    layout.mail.write_text("nothing can be sent while this is in the way")
    state = State.load(layout.state)
    assert state
    email = f"owner-{secrets.token_hex(8)}@example.com"
    said = {"organisation": "Killed", "email": email, "password": secrets.token_urlsafe(24), "name": "Owner"}
    async with client(state.url) as edge:
        answer = await edge.post("/v1/auth:register", json=said)
    assert answer.status_code == httpx.codes.OK
    identity = state.processes["identity"].id
    assert identity
    psutil.Process(identity.pid).kill()
    layout.mail.unlink()
    (mail,) = await Mailbox(layout.mail).wait_for(email, seconds=240)  # a lease, at the worst
    assert mail.links
