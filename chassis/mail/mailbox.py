"""A folder instead of a mail server: one file for each mail, which `kith mail` shows."""

import asyncio
import os
from email.message import EmailMessage
from email.policy import SMTPUTF8
from pathlib import Path

from chassis.mail.transport import PutOffError


class Mailbox:
    """Writes each mail to `<id>.eml`. The id is of its time, so names are in order, and a mail that comes twice is one file."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def send(self, mail_id: str, message: EmailMessage) -> None:
        """Write the message."""
        try:
            await asyncio.to_thread(self._write, f"{mail_id}.eml", message.as_bytes(policy=SMTPUTF8))
        except OSError as error:
            raise PutOffError(type(error).__name__) from None

    async def rest(self) -> None:
        """Do nothing: no file is open."""

    def _write(self, name: str, content: bytes) -> None:
        """Write a file that only its owner may read; readers see all of it or nothing."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        fresh = self._folder / f".{name}"
        with open(fresh, "wb", opener=_private) as file:
            file.write(content)
        fresh.replace(self._folder / name)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
