"""The HTTP server: uvicorn's, with limits on what comes before a request is one, and a calm end."""

import asyncio
import contextlib
import socket
import struct
from collections.abc import Generator
from typing import Final

import httptools
import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.http11 import Request as Handshake

from chassis.errors import Reason
from gateway import headers, problems
from gateway.app import Edge
from gateway.problems import Problem
from gateway.settings import EdgeSettings

HEAD_SECONDS: Final = 10.0  # that the head of a request may take to arrive
KEEP_ALIVE_SECONDS: Final = 75
LINGER_SECONDS: Final = 1.0  # that an idle connection is kept while draining: its client may just be sending
PING_SECONDS: Final = 15.0  # between two signs of life of a WebSocket; one that does not answer within 20 is closed
MESSAGE_BYTES: Final = 4096  # of a message that a WebSocket's client sends, though nobody listens to it
_AT_ONCE: Final = struct.pack("ii", 1, 0)  # linger on, for no second
_HARD_FACTOR: Final = 2  # the application refuses with a better answer what is only a little too much


class Connection(HttpToolsProtocol):
    """One connection, whose head is bounded in bytes and time; uvicorn itself bounds neither."""

    base: str
    max_head: int

    _size = 0
    _draining = False
    _timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Wait for a request, but not for ever."""
        super().connection_made(transport)
        self._expect_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self._got_head()
        super().connection_lost(exc)

    def on_message_begin(self) -> None:
        """Begin to count and to wait anew."""
        super().on_message_begin()
        self.scope["abort"] = self._reset  # type: ignore[typeddict-unknown-key]
        self._size = 0
        self._expect_head()

    def on_url(self, url: bytes) -> None:
        """Take a part of the URL."""
        self._count(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header."""
        self._count(len(name) + len(value))
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Start the request; while draining it is the connection's last."""
        self._got_head()
        super().on_headers_complete()
        if self._draining and self.cycle is not None:
            self.cycle.keep_alive = False

    def shutdown(self) -> None:
        """Drain: a request in flight is answered, and so is one that is just coming on an idle connection."""
        self._draining = True
        if self.cycle is None or self.cycle.response_complete:
            self.loop.call_later(LINGER_SECONDS, self._close_if_idle)
        else:
            self.cycle.keep_alive = False

    def send_400_response(self, msg: str) -> None:
        """Answer what is no HTTP with a problem document, as everything else."""
        problem = Problem(400, Reason.BODY_INVALID, "This is no HTTP/1.1 request.")
        if self._size > self.max_head:
            problem = Problem(431, Reason.HEADERS_TOO_LARGE, "The head of the request is too long.")
        body = problems.document(problem, base=self.base, request_id=headers.request_id({}), trace_id="")
        head = b"HTTP/1.1 %d \r\ncontent-type: %b\r\ncontent-length: %d\r\nconnection: close\r\n\r\n"
        self.transport.write(head % (problem.status, problems.MEDIA_TYPE, len(body)) + body)
        self.transport.close()

    def _reset(self) -> None:
        """Break the connection off by a reset: to HTTP/1.0 a plain end would be the end of the body."""
        found: socket.socket | None = self.transport.get_extra_info("socket")
        if found is not None:
            found.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _AT_ONCE)
        self.transport.abort()

    def _count(self, size: int) -> None:
        self._size += size
        if self._size > self.max_head:
            raise httptools.HttpParserCallbackError

    def _expect_head(self) -> None:
        self._got_head()
        self._timer = self.loop.call_later(HEAD_SECONDS, self._close_if_idle)

    def _got_head(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _close_if_idle(self) -> None:
        if self.cycle is None or self.cycle.response_complete:
            self.transport.close()


class Socket(WebSocketsSansIOProtocol):
    """One WebSocket, whose application can break it off."""

    def handle_connect(self, event: Handshake) -> None:
        """Open the WebSocket; its application does not run before this returns."""
        super().handle_connect(event)
        if not self.close_sent:
            self.scope["abort"] = self.transport.abort  # type: ignore[typeddict-unknown-key]


class Server(uvicorn.Server):
    """A server whose end is decided by the process, not by its own signal handlers."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listening = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Open the port."""
        await super().startup(sockets)
        self.listening.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Leave signals alone."""
        yield


def server(edge: Edge, settings: EdgeSettings) -> Server:
    """Return the server of an edge."""
    kind = type(
        "EdgeConnection", (Connection,), {"base": settings.public_url.rstrip("/"), "max_head": settings.header_bytes * _HARD_FACTOR}
    )
    config = uvicorn.Config(
        edge,
        host=settings.host,
        port=settings.port,
        http=kind,
        loop="none",
        ws=Socket,
        ws_max_size=MESSAGE_BYTES,
        ws_ping_interval=PING_SECONDS,
        ws_per_message_deflate=False,
        lifespan="off",
        interface="asgi3",
        access_log=False,
        log_config=None,
        proxy_headers=False,
        server_header=False,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=max(1, round(settings.grace_seconds)),
    )
    return Server(config)
