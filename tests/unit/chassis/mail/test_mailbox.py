"""Without a mail server mails are files that their owner alone may read."""

from email import message_from_bytes, policy
from pathlib import Path

from chassis.mail.delivery import pause
from tests.unit.chassis.mail.conftest import Deliver, Put, Waiting
from tests.unit.chassis.mail.test_delivery import none_waits, tried
from tests.unit.chassis.moving import Clock, eventually


async def test_each_mail_is_a_file_in_order(put: Put, deliver: Deliver, waiting: Waiting, tmp_path: Path) -> None:
    box = tmp_path / "deep" / "box"
    await put("müller@example.com")
    await put("reader@bücher.example")
    ids = [row["id"] for row in await waiting()]
    async with deliver(mail_host="", mail_folder=box):
        await eventually(lambda: none_waits(waiting))
    files = sorted(box.iterdir())
    assert [file.name for file in files] == [f"{each}.eml" for each in ids]
    assert {file.stat().st_mode & 0o777 for file in files} == {0o600}
    assert box.stat().st_mode & 0o777 == 0o700
    read = [message_from_bytes(file.read_bytes(), policy=policy.default) for file in files]
    assert [message["To"] for message in read] == ["müller@example.com", "reader@xn--bcher-kva.example"]


async def test_a_folder_that_takes_nothing_is_waited_for(put: Put, deliver: Deliver, waiting: Waiting, time: Clock, tmp_path: Path) -> None:
    box = tmp_path / "box"
    box.write_text("in the way")
    await put()
    async with deliver(mail_host="", mail_folder=box):
        await eventually(lambda: tried(waiting, 1))
        box.unlink()
        time.forward(pause(1).total_seconds())
        await eventually(lambda: none_waits(waiting))
    assert len(list(box.iterdir())) == 1
