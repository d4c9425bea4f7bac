"""Replies and streams as ASGI messages."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Final

from gateway import browser
from gateway.problems import Header
from gateway.replies import LiveStream, Reply, Stream
from gateway.requests import Request, Send

Say = Callable[[bytes], Awaitable[None]]

_START: Final = "http.response.start"
_BODY: Final = "http.response.body"


async def send_reply(request: Request, reply: Reply, send: Send, common: list[Header]) -> int:
    """Send a whole answer, to a HEAD without its body; return its status."""
    length = (b"content-length", b"%d" % len(reply.body))
    every = [*common, *reply.policy, *reply.headers]
    if reply.status != 204:
        every.append(length)
    await send({"type": _START, "status": reply.status, "headers": every})
    await send({"type": _BODY, "body": b"" if request.method == "HEAD" else reply.body})
    return reply.status


async def send_socket(request: Request, stream: LiveStream, send: Send, common: list[Header]) -> int:
    """Send a stream as the text messages of a WebSocket; return the status of its opening."""
    await send({"type": "websocket.accept", "headers": common})
    async with contextlib.aclosing(stream.chunks):
        await _until_gone(request, stream, _as_message(send))
    with contextlib.suppress(OSError):
        await send({"type": "websocket.close", "code": stream.code()})
    return 101


async def refuse_socket(reply: Reply, send: Send, common: list[Header]) -> int:
    """Answer the opening of a WebSocket as any other request."""
    await send({"type": "websocket.http.response.start", "status": reply.status, "headers": [*common, *reply.policy, *reply.headers]})
    await send({"type": "websocket.http.response.body", "body": reply.body})
    return reply.status


async def send_stream(request: Request, stream: Stream, send: Send, common: list[Header]) -> int:
    """Send an answer piece by piece until it ends or the client goes away; return its status."""
    await send({"type": _START, "status": 200, "headers": [*common, *browser.API, *stream.headers]})
    async with contextlib.aclosing(stream.chunks):
        if request.method != "HEAD":
            await _until_gone(request, stream, _as_body(send))
    await send({"type": _BODY, "body": b""})
    return 200


async def _until_gone(request: Request, stream: Stream, say: Say) -> None:
    """Pump until the client goes away. An error of the stream is raised here, so that the transfer breaks off."""
    pump = asyncio.create_task(_pump(stream, say))
    tasks = {pump, asyncio.create_task(request.disconnected())}
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
    request.abort()


def _as_body(send: Send) -> Say:
    return lambda chunk: send({"type": _BODY, "body": chunk, "more_body": True})


def _as_message(send: Send) -> Say:
    async def say(chunk: bytes) -> None:
        with contextlib.suppress(OSError):  # the client went away, which is seen elsewhere
            await send({"type": "websocket.send", "text": chunk.decode()})

    return say
