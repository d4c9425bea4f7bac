"""`kith mail`: what the platform wrote to people while it has no mail server, to be read and followed here."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from itertools import islice
from pathlib import Path
from typing import Annotated, Final, Self

import typer
from rich.markup import escape
from rich.table import Table

from stack.layout import Layout
from stack.terminal import Data, Json, console, settings_of, stop_with

app: Final = typer.Typer(invoke_without_command=True)

LINES: Final = 30  # mails shown; more are counted

To = Annotated[str, typer.Option("--to", metavar="ADDRESS", help="Only mails to this address.")]
Number = Annotated[int, typer.Argument(metavar="N", min=1, help="Number in the list; 1 is the newest.", show_default=False)]


@dataclass(frozen=True, kw_only=True)
class Message:
    """A mail as a reader sees it. `links` are the lines of its text that are links."""

    id: str
    time: str
    to: str
    subject: str
    text: str
    links: Sequence[str]

    @classmethod
    def read(cls, mail_id: str, content: bytes) -> Self:
        """Read a mail."""
        message = message_from_bytes(content, _class=EmailMessage, policy=default)
        body = message.get_body(("plain",))
        text: str = body.get_content() if body else ""
        written: datetime = message["Date"].datetime
        return cls(
            id=mail_id,
            time=written.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S"),
            to=str(message["To"]),
            subject=str(message["Subject"]),
            text=text,
            links=[line for line in text.splitlines() if line.startswith(("http://", "https://"))],
        )


@app.callback()
def every(context: typer.Context, *, to: To = "", data: Data = None, as_json: Json = False) -> None:
    """Show mails that were written instead of sent, the newest first; times are in UTC."""
    if context.invoked_subcommand is not None:
        return
    found = list(_mails(data, to))
    if as_json:
        print(json.dumps([asdict(each) for each in found]))
        return
    if not found:
        console.print("No mail.")
        return
    table = Table("", "time", "to", "subject", box=None, header_style="bold", pad_edge=False)
    for number, each in enumerate(found[:LINES], start=1):
        table.add_row(str(number), each.time, escape(each.to), escape(each.subject))
    console.print(table)
    if len(found) > LINES:
        console.print(f"and {len(found) - LINES} more")


@app.command("open")
def open_mail(number: Number, *, to: To = "", data: Data = None, as_json: Json = False) -> None:
    """Show one mail."""
    mail = next(islice(_mails(data, to), number - 1, None), None)
    if mail is None:
        stop_with(f"there is no mail {number}")
    if as_json:
        print(json.dumps(asdict(mail)))
    else:
        console.print(f"[bold]To:[/bold] {escape(mail.to)}\n[bold]Subject:[/bold] {escape(mail.subject)}\n\n{escape(mail.text)}")


def _mails(data: Path | None, to: str) -> Iterator[Message]:
    """Yield the mails of the installation, the newest first: their names are ids, which are in the order of time."""
    folder = Layout(settings_of(data).data).mail
    for file in sorted(folder.glob("[!.]*.eml"), reverse=True):
        content = file.read_bytes()
        if not _may_be_to(content, to):
            continue
        mail = Message.read(file.stem, content)
        if not to or mail.to.casefold() == to.casefold():
            yield mail


def _may_be_to(content: bytes, address: str) -> bool:
    """Say whether a mail may be to an address, without taking it apart: there may be thousands."""
    return address.casefold() in content.partition(b"\r\n\r\n")[0].decode(errors="replace").casefold()
