"""Publishes many messages to a stream at once and waits for their acknowledgements together: one by one each costs a task and a timer."""

import asyncio
import itertools
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

import nats.errors
import orjson
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js.api import Header
from nats.js.errors import APIError, NoStreamResponseError

ACK_SECONDS: Final = 5.0


class Message(NamedTuple):
    """One message on its way to a stream."""

    subject: str
    payload: bytes
    headers: Mapping[str, str]


class Window:
    """The outstanding messages of one publisher to one stream."""

    def __init__(self, client: Client, stream: str) -> None:
        self._client = client
        self._stream = stream
        self._inbox = ""
        self._numbers = itertools.count()
        self._open: dict[str, asyncio.Future[Exception | None]] = {}

    async def publish(self, messages: Sequence[Message]) -> list[Exception | None]:
        """Send messages in their order; return for each the error for which the stream does not have it, None where it does."""
        if not self._inbox:
            self._inbox = self._client.new_inbox()
            await self._client.subscribe(f"{self._inbox}.*", cb=self._hear)
        answers = {str(next(self._numbers)): asyncio.get_running_loop().create_future() for _ in messages}
        self._open |= answers
        try:
            for token, message in zip(answers, messages, strict=True):
                await self._send(token, message)
            await asyncio.wait(answers.values(), timeout=ACK_SECONDS)
        finally:
            for token in answers:
                self._open.pop(token, None)
        return [answer.result() if answer.done() else nats.errors.TimeoutError() for answer in answers.values()]

    async def _send(self, token: str, message: Message) -> None:
        headers = {**message.headers, Header.EXPECTED_STREAM.value: self._stream}
        try:
            if self._client.max_payload < len(message.payload) + _size(headers):
                raise nats.errors.MaxPayloadError  # the server would close the connection
            await self._client.publish(message.subject, message.payload, reply=f"{self._inbox}.{token}", headers=headers)
        except (nats.errors.Error, OSError) as error:
            self._open.pop(token).set_result(error)

    async def _hear(self, message: Msg) -> None:
        answer = self._open.pop(message.subject.rpartition(".")[2], None)
        if answer is not None:
            answer.set_result(_refusal(message.data))


def _refusal(answer: bytes) -> Exception | None:
    """Return the error that a stream answers with; nobody listens where there is no answer."""
    if not answer:
        return NoStreamResponseError()
    error = orjson.loads(answer).get("error")
    return APIError(code=error["code"], err_code=error["err_code"], description=error["description"]) if error else None


def _size(headers: Mapping[str, str]) -> int:
    """Return how many bytes headers are on the wire at the most: each on a line of its own, below a line with the version."""
    return 128 + sum(len(name) + len(value) + 4 for name, value in headers.items())
