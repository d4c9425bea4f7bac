"""WebSockets: the opening is checked and spoken by `websockets`, which has the connection from then on."""

import contextlib
from asyncio import Transport
from collections.abc import Callable, Iterable
from typing import Final

from websockets.asyncio.connection import Connection
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request
from websockets.protocol import State
from websockets.server import ServerProtocol

from chassis.errors import Reason
from gateway.problems import Header, Problem

PING_SECONDS: Final = 15.0  # between two signs of life; a client that does not answer one within as many is closed
MESSAGE_BYTES: Final = 4096  # of a message that a client sends, though nobody listens to it


def asked(headers: Iterable[Header]) -> bool:
    """Say whether a request that asks for an upgrade asks for a WebSocket."""
    return any(name == b"upgrade" and value.strip().lower() == b"websocket" for name, value in headers)


class Opening:
    """A request that asks for a WebSocket. `early` is what the client sent behind it."""

    __slots__ = ("_request", "early")

    def __init__(self, url: bytes, headers: Iterable[Header]) -> None:
        self._request = Request(url.decode("latin-1"), _headers(headers))
        self.early = b""

    def accept(self, hand_over: Callable[[], Transport], lines: bytes) -> "Socket":
        """Open the WebSocket, or raise a Problem if the request is no proper opening."""
        response = ServerProtocol().accept(self._request)
        if response.status_code != 101:
            raise Problem(response.status_code, Reason.BODY_INVALID, "This opens no WebSocket.", headers=_refusal(response.headers))
        for line in lines.decode("latin-1").splitlines():
            name, _, value = line.partition(": ")
            response.headers[name] = value
        protocol = ServerProtocol(state=State.OPEN, max_size=MESSAGE_BYTES)
        connection = Connection(protocol, ping_interval=PING_SECONDS, ping_timeout=PING_SECONDS)
        transport = hand_over()
        transport.set_protocol(connection)
        connection.connection_made(transport)
        transport.write(response.serialize())
        if self.early:
            connection.data_received(self.early)
        connection.start_keepalive()
        return Socket(connection)


class Socket:
    """An open WebSocket, to whose client nobody listens."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def say(self, message: bytes) -> None:
        """Send a text, and wait while the client is slow. That it went away is seen elsewhere."""
        with contextlib.suppress(ConnectionClosed):
            await self._connection.send(message, text=True)

    async def gone(self) -> None:
        """Return when the client went away."""
        with contextlib.suppress(ConnectionClosed):
            async for _ in self._connection:
                pass

    async def close(self, code: int) -> None:
        """Say goodbye."""
        await self._connection.close(code)


def _headers(given: Iterable[Header]) -> Headers:
    found = Headers()
    for name, value in given:
        found[name.decode("latin-1")] = value.decode("latin-1")
    return found


def _refusal(headers: Headers) -> tuple[Header, ...]:
    """Return what a refused opening says of how to do better."""
    return tuple((name.lower().encode(), value.encode()) for name, value in headers.raw_items() if name in {"Allow", "Upgrade"})
