"""One keep-alive HTTP/1.1 connection with at most one request in flight."""

import asyncio
from typing import Self, cast

import httptools


class Connection(asyncio.Protocol):
    """Sends bytes and answers with the status; the body is kept only when asked for."""

    def __init__(self) -> None:
        self._answered: asyncio.Future[int] | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._transport: asyncio.Transport
        self._chunks: list[bytes] = []

    @classmethod
    async def open(cls, host: str, port: int) -> Self:
        """Connect."""
        _, protocol = await asyncio.get_running_loop().create_connection(cls, host, port)
        return protocol

    async def send(self, request: bytes) -> int:
        """Send a whole request and return the answer's status once its body is complete. Raises ConnectionError."""
        self._chunks.clear()
        self._answered = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        try:
            return await self._answered
        except asyncio.CancelledError:
            self.close()  # its answer must not be taken for the next one's
            raise

    @property
    def is_closed(self) -> bool:
        """Whether the server closed the connection."""
        return self._transport.is_closing()

    @property
    def body(self) -> bytes:
        """Body of the last answer."""
        return b"".join(self._chunks)

    def close(self) -> None:
        """Close the connection."""
        self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport (asyncio)."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is one without saying so

    def data_received(self, data: bytes) -> None:
        """Feed the parser (asyncio)."""
        self._parser.feed_data(data)

    def connection_lost(self, exc: Exception | None) -> None:
        """Fail the request that still waits (asyncio)."""
        if self._answered and not self._answered.done():
            self._answered.set_exception(ConnectionResetError("the server closed the connection"))

    def on_body(self, body: bytes) -> None:
        """Keep a piece of the body (httptools)."""
        self._chunks.append(body)

    def on_message_complete(self) -> None:
        """Hand over the status (httptools)."""
        if self._answered and not self._answered.done():
            self._answered.set_result(self._parser.get_status_code())
        self._parser = httptools.HttpResponseParser(self)
