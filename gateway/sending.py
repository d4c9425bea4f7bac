"""Replies and streams as they are sent: headers as lines, a body whole or in pieces."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from functools import lru_cache
from typing import Any

from gateway import browser
from gateway.problems import Header
from gateway.replies import LiveStream, Reply, Stream
from gateway.requests import Request

Say = Callable[[bytes], Awaitable[None]]


def lines(headers: Sequence[Header]) -> bytes:
    """Return headers as lines; ValueError for one that would be more than its line."""
    found = b"".join([b"%b: %b\r\n" % header for header in headers])
    if found.count(b"\n") != len(headers) or found.count(b"\r") != len(headers) or b"\0" in found:
        raise ValueError("a header does not fit in its line")
    return found


fixed = lru_cache(maxsize=64)(lines)
"""The same, for headers that many answers have."""


def send_reply(request: Request, reply: Reply, common: bytes) -> int:
    """Send a whole answer; return its status."""
    request.wire.reply(reply.status, common + fixed(reply.policy) + lines([*request.extra, *reply.headers]), reply.body)
    return reply.status


async def send_stream(request: Request, stream: Stream, common: bytes) -> int:
    """Send an answer piece by piece until it ends or the client goes away; return its status."""
    wire = request.wire
    async with contextlib.aclosing(stream.chunks):
        wire.begin(common + fixed(browser.API) + lines([*request.extra, *stream.headers]))
        if request.method != "HEAD":
            await _until_gone(request, stream, wire.piece, wire.gone())
    wire.end()
    return 200


async def send_socket(request: Request, stream: LiveStream, common: bytes) -> int:
    """Send a stream as the text messages of a WebSocket; return the status of its opening."""
    async with contextlib.aclosing(stream.chunks):
        socket = request.wire.open(common + lines(request.extra))
        await _until_gone(request, stream, socket.say, socket.gone())
    await socket.close(stream.code())
    return 101


async def _until_gone(request: Request, stream: Stream, say: Say, gone: Coroutine[Any, Any, None]) -> None:
    """Pump until the client goes away. An error of the stream is raised here, so that the transfer breaks off."""
    pump = asyncio.create_task(_pump(stream, say))
    tasks = {pump, asyncio.create_task(gone)}
    if isinstance(stream, LiveStream):
        tasks.add(asyncio.create_task(_cut(request, stream)))
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        if pump.done():
            pump.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _pump(stream: Stream, say: Say) -> None:
    """Send piece after piece; a slow client holds the stream up instead of filling memory."""
    async for chunk in stream.chunks:
        await say(chunk)


async def _cut(request: Request, stream: LiveStream) -> None:
    """Wait for the order to break a live stream off, and do it: what the client did not take is dropped."""
    await stream.cut.wait()
    request.wire.abort()
