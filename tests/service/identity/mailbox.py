"""The mails that the platform wrote, for tests that wait for one."""

import asyncio
from collections import defaultdict
from pathlib import Path

from stack.mail import Message
from tests.patience import SECONDS


class Mailbox:
    """Reads each mail once, however many there are."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._read: set[str] = set()
        self._to: dict[str, list[Message]] = defaultdict(list)

    def to(self, address: str) -> list[Message]:
        """Return the mails to an address, the oldest first."""
        for file in sorted(self._folder.glob("[!.]*.eml")):
            if file.name not in self._read:
                self._read.add(file.name)
                message = Message.read(file.stem, file.read_bytes())
                self._to[message.to].append(message)
        return self._to[address]

    async def wait_for(self, address: str, count: int = 1, *, seconds: float = SECONDS) -> list[Message]:
        """Return the mails to an address once there are so many."""
        async with asyncio.timeout(seconds):
            while len(found := self.to(address)) < count:  # noqa: ASYNC110 - another process writes them
                await asyncio.sleep(0.1)
        return found

    async def token(self, address: str, number: int = 1) -> str:
        """Return the token in the link of a mail to an address, the first one unless said otherwise."""
        (link,) = (await self.wait_for(address, number))[number - 1].links
        return link.partition("#")[2]
