"""Publishes many messages to a stream, so many of them unanswered at once: one by one each would wait for its acknowledgement."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

import nats.errors
import orjson
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js.api import Header
from nats.js.errors import APIError, NoStreamResponseError

SIZE: Final = 256  # messages that are unanswered at once; one by one is six times slower
TURN: Final = 32  # messages after which what was sent leaves, so that the server works while we go on
ACK_SECONDS: Final = 5.0  # without any answer the rest is given up
HEADER_NAMES: Final = 512  # bytes that the names of all headers take, with what stands between them


class Message(NamedTuple):
    """One message on its way to a stream."""

    subject: str
    payload: bytes
    headers: Mapping[str, str]


class Window:
    """The outstanding messages of one publisher to one stream. A message's number is the end of the subject that its answer comes on."""

    def __init__(self, client: Client, stream: str) -> None:
        self._client = client
        self._stream = stream
        self._inbox = ""
        self._first = 0
        self._failures: list[Exception | None] = []
        self._open: set[int] = set()
        self._heard = asyncio.Event()

    async def publish(self, messages: Sequence[Message]) -> list[Exception | None]:
        """Send messages in their order; return for each the error for which the stream does not have it, None where it does."""
        await self._listen()
        self._first += len(self._failures)
        self._failures = [nats.errors.TimeoutError()] * len(messages)
        self._open.clear()
        for place, message in enumerate(messages):
            if len(self._open) >= SIZE and not await self._answered(but=SIZE - TURN):
                break
            await self._send(place, message)
            if place % TURN == TURN - 1:
                await asyncio.sleep(0)
        await self._answered(but=0)
        return self._failures

    async def _listen(self) -> None:
        if not self._inbox:
            self._inbox = self._client.new_inbox()
            await self._client.subscribe(f"{self._inbox}.*", cb=self._hear)

    async def _send(self, place: int, message: Message) -> None:
        headers = {**message.headers, Header.EXPECTED_STREAM.value: self._stream}
        self._open.add(place)
        try:
            if self._client.max_payload < len(message.payload) + HEADER_NAMES + sum(map(len, headers.values())):
                raise nats.errors.MaxPayloadError  # the server would close the connection
            await self._client.publish(message.subject, message.payload, reply=f"{self._inbox}.{self._first + place}", headers=headers)
        except (nats.errors.Error, OSError) as error:
            self._open.discard(place)
            self._failures[place] = error

    async def _answered(self, *, but: int) -> bool:
        """Wait until all but so many are answered; return False when nothing is heard for too long."""
        while len(self._open) > but:
            self._heard.clear()
            try:
                async with asyncio.timeout(ACK_SECONDS):
                    await self._heard.wait()
            except TimeoutError:
                return False
        return True

    async def _hear(self, message: Msg) -> None:
        """Take an answer, unless it is to a message that was given up."""
        place = int(message.subject.rpartition(".")[2]) - self._first
        if place in self._open:
            self._open.discard(place)
            self._failures[place] = _refusal(message.data)
            self._heard.set()


def _refusal(answer: bytes) -> Exception | None:
    """Return the error that a stream answers with; nobody listens where there is no answer."""
    if not answer:
        return NoStreamResponseError()
    error = orjson.loads(answer).get("error")
    return APIError(code=error["code"], err_code=error["err_code"], description=error["description"]) if error else None
