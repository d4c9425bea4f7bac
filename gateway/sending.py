"""Replies and streams as ASGI messages."""

import asyncio
import contextlib
from typing import Final

from gateway import browser
from gateway.problems import Header
from gateway.replies import Reply, Stream
from gateway.requests import Request, Send

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


async def send_stream(request: Request, stream: Stream, send: Send, common: list[Header]) -> int:
    """Send an answer piece by piece until it ends or the client goes away; return its status."""
    await send({"type": _START, "status": 200, "headers": [*common, *browser.API, *stream.headers]})
    async with contextlib.aclosing(stream.chunks):
        if request.method != "HEAD":
            await _until_gone(request, stream, send)
    await send({"type": _BODY, "body": b""})
    return 200


async def _until_gone(request: Request, stream: Stream, send: Send) -> None:
    """Pump until the client goes away. An error of the stream is raised here, so that the transfer breaks off."""
    pump = asyncio.create_task(_pump(stream, send))
    gone = asyncio.create_task(request.disconnected())
    try:
        await asyncio.wait({pump, gone}, return_when=asyncio.FIRST_COMPLETED)
        if pump.done():
            pump.result()
    finally:
        for task in (pump, gone):
            task.cancel()
        await asyncio.gather(pump, gone, return_exceptions=True)


async def _pump(stream: Stream, send: Send) -> None:
    """Send piece after piece; a slow client holds the stream up instead of filling memory."""
    async for chunk in stream.chunks:
        await send({"type": _BODY, "body": chunk, "more_body": True})
