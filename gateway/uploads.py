"""Uploads: a client-streamed HttpBody, passed on as it comes, so that no body is ever held whole."""

import asyncio
import time
from collections.abc import Coroutine
from typing import Any, Final, TypeVar

from grpc import StatusCode, aio

from chassis.telemetry import tracing
from gateway.operations import REPLAYED, Common
from gateway.replies import Reply
from gateway.requests import Request

HEARD_SECONDS: Final = 0.5  # that the reason of a failed write may take to arrive

T = TypeVar("T")


class Upload(Common):
    """A stream of messages in, of which only the first says more than the next bytes; one message out."""

    async def answer(self, request: Request, segments: list[str]) -> Reply:
        """Pass the body on and return the answer; a body that breaks off, or is too large, cancels the call."""
        seconds = self.method.policy.deadline or self._bounds.upload_seconds
        began = time.perf_counter()
        with tracing.call(self.method.path[1:]) as span:
            call = self._rpc.stub(metadata=self._rpc.metadata(request, span.traceparent), timeout=seconds)
            ending = _Ending(call)
            try:
                await self._pass_on(request, segments, call)
                reply = self._replies.reply(await call, to_page=False)
            except aio.AioRpcError as error:
                raise self._rpc.failed(request, await ending.instead_of(error), began) from None
            finally:
                call.cancel()
            if await self._rpc.succeeded(call, began):
                reply.headers.append(REPLAYED)
        return reply

    async def _pass_on(self, request: Request, segments: list[str], call: Any) -> None:
        """Write the body. A service that has heard enough ends the call: then a write fails, and what the call itself says counts."""
        chunks = request.chunks(limit=self._bounds.upload_bytes, pause=self._bounds.body_seconds)
        first = await anext(chunks, b"")
        message = self._binding.message(segments, self._given(request, first, to_page=False))
        try:
            await call.write(message.SerializeToString())
            async for chunk in chunks:
                await call.write(self._binding.chunk(chunk).SerializeToString())
            await call.done_writing()
        except (aio.AioRpcError, asyncio.InvalidStateError):
            return


class _Ending:
    """What a service said when it ended a call in the middle.

    When a write fails because the service ended the call, grpc.aio says INTERNAL before or after it hears why; so whatever else is said
    about the call, at any time, is the better answer.
    """

    def __init__(self, call: Any) -> None:
        self._said: asyncio.Future[aio.AioRpcError] = asyncio.get_running_loop().create_future()
        call.add_done_callback(self._hear)

    async def instead_of(self, error: aio.AioRpcError) -> aio.AioRpcError:
        """Return what the service said, or the error itself if nothing better comes soon."""
        if error.code() is StatusCode.INTERNAL:
            await asyncio.wait({self._said}, timeout=HEARD_SECONDS)
        return self._said.result() if self._said.done() else error

    def _hear(self, call: Any) -> None:
        code = _at_once(call.code())
        if code not in {StatusCode.OK, StatusCode.INTERNAL} and not self._said.done():
            details, trailing = _at_once(call.details()), _at_once(call.trailing_metadata())
            self._said.set_result(aio.AioRpcError(code, aio.Metadata(), trailing, details, None))


def _at_once(coroutine: Coroutine[Any, Any, T]) -> T:
    """Return what a coroutine returns that has nothing to wait for: the call is done when its callbacks run."""
    try:
        coroutine.send(None)
    except StopIteration as done:
        value: T = done.value
        return value
    coroutine.close()
    raise RuntimeError("the call is not done")
