"""One HTTP request as the edge sees it."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Protocol

from chassis.errors import Reason
from gateway import problems
from gateway.problems import Header, Problem
from gateway.sockets import Socket


class Disconnected(Exception):
    """The client went away; there is nobody to answer."""


class Wire(Protocol):
    """The way between a request and its client."""

    @property
    def arrived(self) -> bool:
        """Say whether the whole body is here already."""

    def welcome(self) -> None:
        """Tell a client that waits for it to send its body."""

    async def part(self) -> bytes:
        """Return the next piece of the body, nothing at its end. Raise Disconnected, or a Problem when it is none."""

    async def gone(self) -> None:
        """Return when the client went away."""

    def abort(self) -> None:
        """Break the connection off."""

    def reply(self, status: int, lines: bytes, body: bytes) -> None:
        """Send a whole answer. `lines` are its headers as they are sent."""

    def begin(self, lines: bytes) -> None:
        """Send the head of an answer that comes in pieces."""

    async def piece(self, data: bytes) -> None:
        """Send a piece, and wait while the client is slow."""

    def end(self) -> None:
        """Say that there is no more."""

    def open(self, lines: bytes) -> Socket:
        """Make the connection the WebSocket that was asked for; raise a Problem if it was asked for in a wrong way."""


class Request:
    """Method, path, headers and body of a request, and what has been found out about it so far.

    `raw` are all headers, their names in lower case; `headers` those that mean something. `peer` is the other end of the connection,
    `client` whoever stands behind it; `socket` says that a WebSocket is asked for.
    """

    __slots__ = (
        "base",
        "client",
        "extra",
        "headers",
        "method",
        "path",
        "peer",
        "query",
        "raw",
        "request_id",
        "route",
        "socket",
        "trace_id",
        "traceparent",
        "wire",
    )

    def __init__(
        self, wire: Wire, method: str, path: str, query: str, raw: list[Header], *, peer: str | None, socket: bool = False
    ) -> None:
        self.wire = wire
        self.method = method
        self.path = path
        self.query = query
        self.raw = raw
        self.peer = peer
        self.socket = socket
        self.base = ""
        self.headers: Mapping[bytes, bytes] = {}
        self.client = ""
        self.request_id = ""
        self.trace_id = ""
        self.traceparent = ""
        self.route = ""
        self.extra: list[Header] = []

    def document(self, problem: Problem) -> bytes:
        """Return the problem document that answers this request."""
        return problems.document(problem, base=self.base, request_id=self.request_id, trace_id=self.trace_id)

    def has_body(self) -> bool:
        """Say whether the client announced a body."""
        length = self.headers.get(b"content-length")
        return b"transfer-encoding" in self.headers or (length is not None and length != b"0")

    async def body(self, *, limit: int, seconds: float) -> bytes:
        """Return the whole body; a larger one is refused as soon as it is known to be, a slow one after some seconds."""
        if not self.has_body():
            return b""
        if self.wire.arrived:
            self._check_length(limit)
            return _bounded(await self.wire.part(), limit)
        try:
            async with asyncio.timeout(seconds):
                parts = [chunk async for chunk in self._parts(limit)]
        except TimeoutError:
            raise _too_slow() from None
        return parts[0] if len(parts) == 1 else b"".join(parts)

    async def chunks(self, *, limit: int, pause: float) -> AsyncIterator[bytes]:
        """Yield the body as it comes, however long it takes in all; a client that pauses for longer is given up."""
        parts = self._parts(limit)
        while True:
            try:
                async with asyncio.timeout(pause):
                    chunk = await anext(parts, None)
            except TimeoutError:
                raise _too_slow() from None
            if chunk is None:
                return
            yield chunk

    async def _parts(self, limit: int) -> AsyncIterator[bytes]:
        self._check_length(limit)
        if not self.has_body():
            return
        if self.headers.get(b"expect", b"").lower() == b"100-continue":
            self.wire.welcome()
        size = 0
        while chunk := await self.wire.part():
            size += len(chunk)
            if size > limit:
                raise _too_large(limit)
            yield chunk

    def _check_length(self, limit: int) -> None:
        if int(self.headers.get(b"content-length", b"0")) > limit:
            raise _too_large(limit)


def _bounded(body: bytes, limit: int) -> bytes:
    if len(body) > limit:
        raise _too_large(limit)
    return body


def _too_large(limit: int) -> Problem:
    return Problem(413, Reason.BODY_TOO_LARGE, f"The body is larger than {limit} bytes.")


def _too_slow() -> Problem:
    return Problem(408, Reason.DEADLINE_EXCEEDED, "The body did not come in time.", headers=((b"connection", b"close"),))
