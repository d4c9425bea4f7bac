"""`kith mail` shows what was written instead of sent, and the server's password reaches those alone who send."""

import json
import os
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from chassis import ids
from chassis.mail.mailbox import Mailbox
from stack.cli import app
from stack.layout import Layout
from stack.settings import Settings
from stack.topology import EDGE, SERVICES, default_ports
from stack.wiring import Wiring, provide_secrets

WRITTEN = datetime(2026, 11, 21, 12, tzinfo=UTC)


def kith(data: Path, *arguments: str) -> Result:
    return CliRunner().invoke(app, ["mail", *arguments, "--data", str(data)], env={"COLUMNS": "200"})


@pytest.fixture
async def written(tmp_path: Path) -> Path:
    """A data folder with two mails in it."""
    box = Mailbox(Layout(tmp_path).mail)
    for number, to in enumerate(["first@example.com", "müller@example.com"]):
        message = EmailMessage()
        message["To"] = to
        message["Subject"] = f"Grüße [bold]{number}[/]"
        message["Date"] = WRITTEN + timedelta(minutes=number)
        message.set_content(f"Here it is:\nhttps://kith.example.com/verify-email#t0ken{number}\n\n[red]Bye[/]\n")
        message.add_alternative("<p>Here it is</p>", subtype="html")
        await box.send(ids.new(), message)
    return tmp_path


def test_an_empty_mailbox_is_no_failure(tmp_path: Path) -> None:
    assert kith(tmp_path).output == "No mail.\n"
    assert json.loads(kith(tmp_path, "--json").output) == []


async def test_the_newest_mail_comes_first(written: Path) -> None:
    first, second = kith(written).output.splitlines()[1:]
    assert first.split() == ["1", "2026-11-21", "12:01:00", "müller@example.com", "Grüße", "[bold]1[/]"]
    assert second.split()[:4] == ["2", "2026-11-21", "12:00:00", "first@example.com"]


async def test_a_mail_is_shown_with_its_link_on_a_line_of_its_own(written: Path) -> None:
    lines = kith(written, "open", "2").output.splitlines()
    assert lines[:2] == ["To: first@example.com", "Subject: Grüße [bold]0[/]"]
    assert "https://kith.example.com/verify-email#t0ken0" in lines
    assert "[red]Bye[/]" in lines


async def test_a_script_gets_the_links_of_one_address(written: Path) -> None:
    opened = json.loads(kith(written, "open", "1", "--to", "First@example.com", "--json").output)
    assert opened["links"] == ["https://kith.example.com/verify-email#t0ken0"]
    (listed,) = json.loads(kith(written, "--to", "first@example.com", "--json").output)
    assert listed == opened


async def test_a_mail_that_is_not_there_is_said(written: Path) -> None:
    missing = kith(written, "open", "3")
    assert missing.exit_code == 1
    assert "there is no mail 3" in missing.stderr


def test_the_mail_server_s_password_reaches_those_alone_who_send(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(os.environ, "KITH_MAIL_PASSWORD", "open sesame")
    layout = Layout(tmp_path)
    layout.create()
    wiring = Wiring(Settings(data=tmp_path), layout, provide_secrets(layout.secrets), default_ports())
    reached = [service for service in (EDGE, *SERVICES) if "open sesame" in wiring.environment(service).values()]
    assert [service.name for service in reached] == ["identity"]
    assert "open sesame" not in wiring.canary_environment().values()
    assert wiring.environment(reached[0])["KITH_MAIL_FOLDER"] == str(layout.mail)
