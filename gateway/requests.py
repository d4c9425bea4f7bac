"""One HTTP request as the edge sees it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, MutableMapping
from typing import Any

from chassis.errors import Reason
from gateway import problems
from gateway.problems import Header, Problem

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


class Disconnected(Exception):
    """The client went away; there is nobody to answer."""


class Request:
    """Method, path, headers and body of a request, and what has been found out about it so far."""

    __slots__ = (
        "_receive",
        "abort",
        "base",
        "client",
        "extra",
        "headers",
        "method",
        "path",
        "query",
        "request_id",
        "route",
        "socket",
        "trace_id",
        "traceparent",
    )

    def __init__(self, scope: Scope, receive: Receive, *, base: str) -> None:
        self.base = base
        self._receive = receive
        self.socket = scope["type"] == "websocket"
        self.abort: Callable[[], None] = scope.get("abort", _nothing)
        self.method: str = "GET" if self.socket else scope["method"]
        self.path: str = scope["raw_path"].decode("latin-1").partition("?")[0]
        self.query: str = scope["query_string"].decode("latin-1")
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

    async def disconnected(self) -> None:
        """Return when the client went away. The body must have been read before."""
        while True:
            if (await self._receive())["type"].endswith(".disconnect"):
                return

    async def _parts(self, limit: int) -> AsyncIterator[bytes]:
        if int(self.headers.get(b"content-length", b"0")) > limit:
            raise _too_large(limit)
        size = 0
        more = self.has_body()
        while more:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise Disconnected
            chunk = message.get("body", b"")
            more = message.get("more_body", False)
            size += len(chunk)
            if size > limit:
                raise _too_large(limit)
            if chunk:
                yield chunk


def _nothing() -> None:
    """Stand for the end of a connection where there is none."""


def _too_large(limit: int) -> Problem:
    return Problem(413, Reason.BODY_TOO_LARGE, f"The body is larger than {limit} bytes.")


def _too_slow() -> Problem:
    return Problem(408, Reason.DEADLINE_EXCEEDED, "The body did not come in time.", headers=((b"connection", b"close"),))
