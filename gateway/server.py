"""The HTTP server: one port, the time of day, and a calm end."""

import asyncio
import contextlib
import os
import socket
from email.utils import formatdate
from typing import Final

import structlog

from gateway.app import Edge
from gateway.connection import Connection, Hall
from gateway.settings import EdgeSettings

HEAD_SECONDS: Final = 10.0  # that the head of a request may take to arrive
BACKLOG: Final = 2048  # connections that wait to be taken
TICK_SECONDS: Final = 1.0  # how exactly time is told and measured
_HARD_FACTOR: Final = 2  # the edge refuses with a better answer what is only a little too much

log = structlog.get_logger()


class Server:
    """Listens on one port for one edge."""

    def __init__(self, edge: Edge, settings: EdgeSettings) -> None:
        self.listening = asyncio.Event()
        self._host, self._port = settings.host, settings.port
        self._shares = settings.share_port or None  # None says nothing, which also works where there is no such option
        self._grace_seconds = settings.grace_seconds
        self._hall = Hall(edge, base=settings.public_url.rstrip("/"), max_head=settings.header_bytes * _HARD_FACTOR)
        self._loop = asyncio.get_running_loop()
        self._server: asyncio.Server | None = None
        self._timer: asyncio.TimerHandle | None = None

    @property
    def address(self) -> str:
        """Return where the server listens."""
        return f"{self._host}:{self._port}"

    async def listen(self) -> None:
        """Open the port."""
        self._tick()
        self._server = await self._loop.create_server(self._connection, self._host, self._port, backlog=BACKLOG, reuse_port=self._shares)
        self.listening.set()

    async def close(self) -> None:
        """Close the port, answer what is in flight and what is just coming; break off what takes longer than it may."""
        if self._server is not None:
            late = _waiting(self._server)
            self._server.close()
            await asyncio.gather(*(self._loop.connect_accepted_socket(self._connection, each) for each in late))
        try:
            async with asyncio.timeout(self._grace_seconds):
                await self._hall.drain()
        except TimeoutError:
            log.warning("cancelled", connections=len(self._hall.connections))
            await asyncio.gather(*(connection.cancel() for connection in self._hall.connections))
        if self._timer is not None:
            self._timer.cancel()

    def _connection(self) -> Connection:
        return Connection(self._hall, head_seconds=HEAD_SECONDS)

    def _tick(self) -> None:
        """Say what time it is, and let connections end whose time is over."""
        self._timer = self._loop.call_later(TICK_SECONDS, self._tick)
        self._hall.date = f"date: {formatdate(usegmt=True)}\r\n".encode()
        now = self._loop.time()
        for connection in tuple(self._hall.connections):
            connection.tick(now)


def _waiting(server: asyncio.Server) -> list[socket.socket]:
    """Return the connections that were made and not taken yet: with the port closed, the kernel would reset them."""
    late: list[socket.socket] = []
    for listening in server.sockets:
        with socket.socket(fileno=os.dup(listening.fileno())) as door, contextlib.suppress(BlockingIOError):
            door.settimeout(0)
            while True:
                late.append(door.accept()[0])
    return late


def server(edge: Edge, settings: EdgeSettings) -> Server:
    """Return the server of an edge."""
    return Server(edge, settings)
