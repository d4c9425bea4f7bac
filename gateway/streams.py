"""Streams: a server-streamed answer as server-sent events, as JSON lines, or as the bytes of an HttpBody."""

import asyncio
import time
from collections.abc import AsyncGenerator
from typing import Any, Final

from grpc import aio

from chassis.telemetry import tracing
from gateway import media
from gateway.operations import Common
from gateway.replies import BrokenOff, Stream, raw_headers
from gateway.requests import Request

HEARTBEAT: Final = 15.0  # seconds of silence after which a comment keeps proxies from closing the connection


class Streaming(Common):
    """One message in, a stream of messages out."""

    async def answer(self, request: Request, segments: list[str]) -> Stream:
        """Call the RPC and return its stream. What fails before the first message is a plain problem."""
        message = await self._message(request, segments, to_page=False)
        with tracing.call(self.method.path[1:]) as span:
            call = self._rpc.stub(message, metadata=self._rpc.metadata(request, span.traceparent), timeout=self.method.policy.deadline)
            began = time.perf_counter()
            try:
                first = await call.read()
            except aio.AioRpcError as error:
                raise self._rpc.failed(request, error, began) from None
        if request.method == "HEAD":
            call.cancel()  # nobody will read on
        if self._replies.raw:
            return self._raw(request, call, first, began)
        if media.wants_lines(request.headers):
            return Stream(self._lines(request, call, first, began), [(b"content-type", media.LINES)])
        return Stream(self._events(request, call, first, began), [(b"content-type", media.EVENTS), (b"x-accel-buffering", b"no")])

    def _raw(self, request: Request, call: Any, first: Any, began: float) -> Stream:
        headers = [(b"content-type", media.of_raw(""))] if first is aio.EOF else raw_headers(self._replies.http_body(first))
        return Stream(self._bytes(request, call, first, began), headers)

    async def _bytes(self, request: Request, call: Any, first: Any, began: float) -> AsyncGenerator[bytes, None]:
        """Yield the content. A late error breaks the transfer off, so that nobody takes a part for the whole."""
        try:
            async for answer in _messages(call, first, pause=None):
                yield self._replies.http_body(answer).data
        except aio.AioRpcError as error:
            raise BrokenOff(self._rpc.failed(request, error, began)) from None

    async def _lines(self, request: Request, call: Any, first: Any, began: float) -> AsyncGenerator[bytes, None]:
        try:
            async for answer in _messages(call, first, pause=None):
                yield self._replies.json(answer) + b"\n"
        except aio.AioRpcError as error:
            yield b'{"error":' + request.document(self._rpc.failed(request, error, began)) + b"}\n"

    async def _events(self, request: Request, call: Any, first: Any, began: float) -> AsyncGenerator[bytes, None]:
        try:
            async for answer in _messages(call, first, pause=HEARTBEAT):
                yield b": \n\n" if answer is None else b"data: " + self._replies.json(answer) + b"\n\n"
        except aio.AioRpcError as error:
            yield b"event: error\ndata: " + request.document(self._rpc.failed(request, error, began)) + b"\n\n"


async def _messages(call: Any, first: Any, *, pause: float | None) -> AsyncGenerator[Any, None]:
    """Yield the messages, and None after each pause; the call is cancelled when nobody reads on."""
    try:
        answer = first
        while answer is not aio.EOF:
            yield answer
            reading = asyncio.ensure_future(call.read())
            while not (await asyncio.wait({reading}, timeout=pause))[0]:
                yield None
            answer = reading.result()
    finally:
        call.cancel()
