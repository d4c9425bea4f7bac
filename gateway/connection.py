"""One HTTP/1.1 connection: its requests are answered in their order, and nobody waits for it for ever."""

import asyncio
import contextlib
import socket
import struct
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Final

import structlog

from gateway import headers, problems
from gateway.exchange import Exchange
from gateway.problems import Problem
from gateway.reader import Reader
from gateway.requests import Request
from gateway.sending import lines

KEEP_ALIVE_SECONDS: Final = 75.0  # that a connection without a request is kept, or one whose client does not take its answer
LINGER_SECONDS: Final = 1.0  # that an idle connection is kept while draining: its client may just be sending
MAX_PIPELINED: Final = 64  # requests that a client may send before it has an answer; browsers send one

_NEVER: Final = float("inf")
_AT_ONCE: Final = struct.pack("ii", 1, 0)  # linger on, for no second

log = structlog.get_logger()


class Hall:
    """What all connections of a server share. `date` is the line that says the time of this second."""

    def __init__(self, edge: Callable[[Request], Awaitable[None]], *, base: str, max_head: int) -> None:
        self.edge = edge
        self.base = base
        self.max_head = max_head
        self.date = b""
        self.draining = False
        self.connections: set[Connection] = set()
        self._empty = asyncio.Event()

    def leave(self, connection: "Connection") -> None:
        """Forget a connection."""
        self.connections.discard(connection)
        if self.draining and not self.connections:
            self._empty.set()

    async def drain(self) -> None:
        """Let every connection end when it has nothing more to do; return when the last did."""
        self.draining = True
        for connection in self.connections:
            connection.drain()
        if self.connections:
            await self._empty.wait()


class Connection(asyncio.Protocol):
    """One connection. Its requests wait in a queue; only the last of them can still be coming.

    `_deaf`: nothing more is heard. `_lost`: nobody is there, or the connection is another protocol's. `_held`: the client is let wait.
    """

    def __init__(self, hall: Hall, *, head_seconds: float) -> None:
        self._hall = hall
        self._head_seconds = head_seconds
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport
        self._reader: Reader
        self._waiting: deque[tuple[Exchange, Request]] = deque()
        self._task: asyncio.Task[None] | None = None
        self._deaf = False
        self._lost = False
        self._held = False
        self._drained: asyncio.Future[None] | None = None
        self._deadline = _NEVER

    # What the event loop says.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Wait for a request, but not for ever."""
        self._transport = transport  # type: ignore[assignment]  # uvloop's is one without saying so
        peer = transport.get_extra_info("peername")
        self._reader = Reader(self, self._take, peer=peer[0] if peer else None, max_head=self._hall.max_head)
        self._hall.connections.add(self)
        self._deadline = self._loop.time() + self._head_seconds

    def data_received(self, data: bytes) -> None:
        """Read on, unless everything that counts was said."""
        if self._deaf:
            return
        was_in_head = self._reader.in_head
        try:
            self._deaf = not self._reader.feed(data)
        except Problem as problem:
            self._refuse(problem)
            return
        if self._deaf:
            self.hold()
        elif self._reader.in_head and not was_in_head and not self._waiting:
            self._deadline = self._loop.time() + self._head_seconds

    def eof_received(self) -> bool:
        """Keep the way back open for the answers to whole requests. A stream ends with its reader, though."""
        self._deaf = True
        if not self._waiting or not self._waiting[-1][0].arrived or self._waiting[0][0].begun:
            return False
        self._waiting[-1][0].last = True
        for exchange, _ in self._waiting:
            exchange.leave()
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell everybody who waits for the client."""
        self._lost = self._deaf = True
        for exchange, _ in self._waiting:
            exchange.lose()
        self.resume_writing()
        self._leave()

    def pause_writing(self) -> None:
        """Wait for a slow client."""
        self._drained = self._loop.create_future()

    def resume_writing(self) -> None:
        """Go on writing."""
        drained, self._drained = self._drained, None
        if drained is not None and not drained.done():
            drained.set_result(None)

    # What exchanges ask.

    @property
    def date(self) -> bytes:
        """Return the line that says what time it is."""
        return self._hall.date

    def write(self, data: bytes) -> None:
        """Send bytes, if there is still somebody."""
        if not self._transport.is_closing():
            self._transport.write(data)

    async def drained(self) -> None:
        """Return when the client has taken enough of what was sent."""
        if self._drained is not None:
            await self._drained

    def hold(self) -> None:
        """Let the client wait with what it would send."""
        if not self._held and not self._lost:
            self._held = True
            self._transport.pause_reading()

    def release(self) -> None:
        """Read on, unless another request waits already."""
        if self._held and len(self._waiting) < 2 and not self._lost:
            self._held = False
            self._transport.resume_reading()

    def reset(self) -> None:
        """Break the connection off by a reset: to HTTP/1.0 a plain end would be the end of the body."""
        found: socket.socket | None = self._transport.get_extra_info("socket")
        with contextlib.suppress(OSError):
            if found is not None:
                found.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _AT_ONCE)
        self._transport.abort()

    def hand_over(self) -> asyncio.Transport:
        """Give the connection away to another protocol."""
        self.release()
        self._lost = True
        return self._transport

    # What the server says.

    def tick(self, now: float) -> None:
        """End the connection when its time is over; who did not take an answer for so long does not get the rest."""
        if now >= self._deadline:
            self._deadline = _NEVER
            if self._transport.get_write_buffer_size():
                self._transport.abort()
            self._transport.close()

    def drain(self) -> None:
        """Answer what is in flight, and what is just coming on an idle connection; then end."""
        if self._waiting:
            self._waiting[-1][0].last = True
        else:
            self._loop.call_later(LINGER_SECONDS, self._close_if_idle)

    async def cancel(self) -> None:
        """End at once."""
        self._transport.abort()
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})

    def _take(self, exchange: Exchange, request: Request) -> None:
        """Let a request wait for its turn, which is at once if no other waits. ValueError when there are too many."""
        if len(self._waiting) >= MAX_PIPELINED:
            raise ValueError("too many requests at once")
        exchange.last = exchange.last or self._hall.draining
        self._waiting.append((exchange, request))
        if self._task is None:
            self._task = self._loop.create_task(self._serve())
        elif len(self._waiting) > 1:
            self.hold()

    async def _serve(self) -> None:
        """Answer what waits, one after the other; a client that takes no answer gets no other one."""
        exchange: Exchange | None = None
        while self._waiting and not self._lost and not (exchange and exchange.last):
            exchange, request = self._waiting[0]
            self._deadline = _NEVER
            try:
                await self._hall.edge(request)
            except Exception:
                log.exception("answer_failed", request_id=request.request_id, http_route=request.route)
            if not exchange.done and not self._lost:
                self.reset()
            self._deadline = self._loop.time() + KEEP_ALIVE_SECONDS
            await self.drained()
            self._waiting.popleft()
            self.release()
        self._task = None
        if self._lost:
            self._leave()
        elif exchange is not None and exchange.last:
            self._end(exchange.arrived)
        elif self._reader.in_head:
            self._deadline = self._loop.time() + self._head_seconds

    def _refuse(self, problem: Problem) -> None:
        """Answer what is no HTTP, unless it stands where the answer to something else is expected."""
        self._deaf = True
        if self._waiting:
            self._waiting[-1][0].fail()
            return
        coming = self._reader.coming
        if coming is None or coming.arrived:
            body = problems.document(problem, base=self._hall.base, request_id=headers.request_id({}), trace_id="")
            answer = Exchange(self, head=False, old=False, last=True, opening=None)
            answer.reply(problem.status, lines([(b"content-type", problems.MEDIA_TYPE)]), body)
        self._end(all_read=False)

    def _end(self, all_read: bool) -> None:  # noqa: FBT001
        """Close. Who is still sending hears no reset before the answer, if it ends soon (RFC 9112, section 9.6)."""
        self._deaf = True
        if all_read or self._transport.is_closing():
            self._transport.close()
            return
        self.release()
        self._transport.write_eof()
        self._deadline = self._loop.time() + LINGER_SECONDS

    def _leave(self) -> None:
        if self._task is None:
            self._hall.leave(self)

    def _close_if_idle(self) -> None:
        if not self._waiting:
            self._transport.close()
