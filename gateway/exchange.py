"""One request on a connection and its answer: the body as it comes, the answer as bytes of HTTP/1.1 (`old`: of HTTP/1.0)."""

import asyncio
from http import HTTPStatus
from typing import Final, Protocol

from chassis.errors import Reason
from gateway.problems import Problem
from gateway.requests import Disconnected
from gateway.sockets import Opening, Socket

HELD_BYTES: Final = 64 * 1024  # of a body that wait to be taken; then the client is let wait

_STATUS: Final = {status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n".encode() for status in HTTPStatus}
_CLOSE: Final = b"connection: close\r\n"
_GO_ON: Final = b"HTTP/1.1 100 Continue\r\n\r\n"
_NO_LENGTH: Final = frozenset({204, 304})


class Line(Protocol):
    """What an exchange needs of its connection."""

    @property
    def date(self) -> bytes:
        """Return the line that says what time it is."""

    def write(self, data: bytes) -> None:
        """Send bytes."""

    async def drained(self) -> None:
        """Return when the client has taken enough of what was sent."""

    def hold(self) -> None:
        """Let the client wait with what it would send."""

    def release(self) -> None:
        """Let it go on."""

    def reset(self) -> None:
        """Break the connection off."""

    def hand_over(self) -> asyncio.Transport:
        """Give the connection away to another protocol."""


class Exchange:
    """A request whose head was read. `done` is true once its answer is complete, `last` when the connection ends with it."""

    __slots__ = (
        "_chunked",
        "_complete",
        "_fault",
        "_head",
        "_leaving",
        "_left",
        "_line",
        "_lost",
        "_more",
        "_old",
        "_parts",
        "_size",
        "begun",
        "done",
        "last",
        "opening",
    )

    def __init__(self, line: Line, *, head: bool, old: bool, last: bool, opening: Opening | None) -> None:
        self.begun = False
        self.done = False
        self.last = last
        self.opening = opening
        self._line = line
        self._head = head
        self._old = old
        self._chunked = False
        self._parts: list[bytes] = []
        self._size = 0
        self._complete = False
        self._fault: Exception | None = None
        self._lost = False
        self._leaving = False
        self._more: asyncio.Future[None] | None = None
        self._left: asyncio.Future[None] | None = None

    # What the connection says.

    @property
    def full(self) -> bool:
        """Say whether so much of the body waits that no more should be read."""
        return self._size > HELD_BYTES and not self.done

    def take(self, data: bytes) -> None:
        """Keep a piece of the body until it is asked for; what comes behind the answer interests nobody."""
        if not self.done:
            self._parts.append(data)
            self._size += len(data)
            _wake(self._more)

    def complete(self) -> None:
        """Know that the whole body is here."""
        self._complete = True
        _wake(self._more)

    def fail(self) -> None:
        """Know that what came behind the head is no HTTP."""
        self.last = True
        if not self._complete:
            self._fault = Problem(400, Reason.BODY_INVALID, "This is no HTTP/1.1 request.")
            _wake(self._more)

    def leave(self) -> None:
        """Know that the client says no more: it may still listen, but a stream is not begun for it."""
        self._leaving = True

    def lose(self) -> None:
        """Know that the client went away."""
        self._lost = True
        _wake(self._more)
        _wake(self._left)

    # What the edge asks.

    @property
    def arrived(self) -> bool:
        """Say whether the whole body is here already."""
        return self._complete

    def welcome(self) -> None:
        """Tell a client that waits for it to send its body (RFC 9110, section 10.1.1)."""
        if not self._complete and not self._parts and not self._old:
            self._line.write(_GO_ON)

    async def part(self) -> bytes:
        """Return the next piece of the body, nothing at its end. Raise Disconnected, or a Problem when it is none."""
        while not self._parts and not self._complete:
            if self._lost:
                raise Disconnected
            if self._fault is not None:
                raise self._fault
            self._more = asyncio.get_running_loop().create_future()
            await self._more
        found = b"".join(self._parts)
        self._parts.clear()
        self._size = 0
        self._line.release()
        return found

    async def gone(self) -> None:
        """Return when the client went away."""
        if not self._lost:
            self._left = asyncio.get_running_loop().create_future()
            await self._left

    def abort(self) -> None:
        """Break the connection off, so that nobody takes a part for the whole."""
        self.done = self.last = True
        self._line.reset()

    def reply(self, status: int, lines: bytes, body: bytes) -> None:
        """Send a whole answer, to a HEAD without its body."""
        length = b"\r\n" if status in _NO_LENGTH else b"content-length: %d\r\n\r\n" % len(body)
        self._line.write(self._first_lines(status, lines) + length + (b"" if self._head else body))
        self.done = True

    def begin(self, lines: bytes) -> None:
        """Send the head of an answer that comes in pieces. To HTTP/1.0 the end of the connection is the end of the answer."""
        self.begun = True
        self._chunked = not self._old
        if self._leaving:
            self.lose()
        self._line.write(self._first_lines(200, lines) + (b"transfer-encoding: chunked\r\n\r\n" if self._chunked else b"\r\n"))

    async def piece(self, data: bytes) -> None:
        """Send a piece, and wait while the client is slow."""
        if data and not self._head:
            self._line.write(b"%x\r\n%b\r\n" % (len(data), data) if self._chunked else data)
            await self._line.drained()

    def end(self) -> None:
        """Say that there is no more."""
        if self._chunked and not self._head:
            self._line.write(b"0\r\n\r\n")
        self.done = True

    def open(self, lines: bytes) -> Socket:
        """Make the connection the WebSocket that was asked for; raise a Problem if it was asked for in a wrong way."""
        if self.opening is None:
            raise TypeError("no WebSocket was asked for")
        self.begun = True
        socket = self.opening.accept(self._line.hand_over, lines)
        self.done = True
        return socket

    def _first_lines(self, status: int, lines: bytes) -> bytes:
        self.last = self.last or _CLOSE in lines
        close = _CLOSE if self.last and _CLOSE not in lines else b""
        return b"%b%b%b%b" % (_STATUS.get(status) or b"HTTP/1.1 %d \r\n" % status, self._line.date, lines, close)


def _wake(waiting: asyncio.Future[None] | None) -> None:
    if waiting is not None and not waiting.done():
        waiting.set_result(None)
