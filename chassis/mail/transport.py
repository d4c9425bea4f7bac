"""Where mails leave the process: a mail server, or a folder on a machine that has none."""

from email.message import EmailMessage
from typing import Protocol


class PutOffError(Exception):
    """The mail did not go, and may go another time. `cause` is a word without any address in it: a code, a type of error."""

    def __init__(self, cause: str) -> None:
        super().__init__(cause)
        self.cause = cause


class RefusedError(PutOffError):
    """The mail will never go: its receiver's server says so, or it cannot be said to a server at all."""


class Transport(Protocol):
    """Takes messages away."""

    async def send(self, mail_id: str, message: EmailMessage) -> None:
        """Return once somebody else is responsible for the message. Raises PutOffError, RefusedError."""

    async def rest(self) -> None:
        """Give up what was only kept for the next message, which is not there yet."""
