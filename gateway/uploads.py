"""Uploads: a client-streamed HttpBody, passed on as it comes, so that no body is ever held whole."""

import asyncio
import time
from typing import Any

from grpc import aio

from chassis.telemetry import tracing
from gateway.operations import REPLAYED, Common
from gateway.replies import Reply
from gateway.requests import Request


class Upload(Common):
    """A stream of messages in, of which only the first says more than the next bytes; one message out."""

    async def answer(self, request: Request, segments: list[str]) -> Reply:
        """Pass the body on and return the answer; a body that breaks off, or is too large, cancels the call."""
        seconds = self.method.policy.deadline or self._bounds.upload_seconds
        began = time.perf_counter()
        with tracing.call(self.method.path[1:]) as span:
            call = self._rpc.stub(metadata=self._rpc.metadata(request, span.traceparent), timeout=seconds)
            try:
                await self._pass_on(request, segments, call)
                answer, replayed = await self._rpc.finish(request, call, began)
            finally:
                call.cancel()
        reply = self._replies.reply(answer, to_page=False)
        if replayed:
            reply.headers.append(REPLAYED)
        return reply

    async def _pass_on(self, request: Request, segments: list[str], call: Any) -> None:
        """Write the body; a service that has heard enough ends the call, and its answer is told instead of the failed write."""
        chunks = request.chunks(limit=self._bounds.upload_bytes, pause=self._bounds.body_seconds)
        first = await anext(chunks, b"")
        message = self._binding.message(segments, self._given(request, first, to_page=False))
        try:
            await call.write(message.SerializeToString())
            async for chunk in chunks:
                await call.write(self._binding.chunk(chunk).SerializeToString())
            await call.done_writing()
        except aio.AioRpcError as error:
            raise self._rpc.problem(request, error) from None
        except asyncio.InvalidStateError:
            return
