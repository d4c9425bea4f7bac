"""The service's side: every call of a stream runs through the chain in a task of its own."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import cast

import grpc
import structlog
from grpc import aio

from chassis.answers import JsonAnswer
from chassis.carrier.answers import Answers
from chassis.carrier.context import CarriedContext
from chassis.interceptors.chain import Chain, Context, serialize
from kith.common.v1.carrier_pb2 import CarriedAnswer, CarriedCall, CarryRequest, CarryResponse
from kith.common.v1.carrier_pb2_grpc import CarrierServiceServicer

log = structlog.get_logger()


class Carrier(CarrierServiceServicer):
    """Serves the streams of one process. Of more than `limit` calls at once the last are refused, as gRPC itself refuses them."""

    def __init__(self, chain: Chain, *, limit: int) -> None:
        self._chain = chain
        self._limit = limit
        self._running = 0
        self._streams: set[Answers] = set()
        self._leaving = False

    async def Carry(self, request_iterator: AsyncIterator[CarryRequest], context: Context) -> AsyncGenerator[CarryResponse, None]:
        """Answer the calls of one stream."""
        stream = Answers(self._answer)
        self._streams.add(stream)
        reading = asyncio.create_task(stream.read(request_iterator), name="carrier")
        try:
            yield CarryResponse(leaving=self._leaving)
            async with aclosing(stream.responses()) as responses:
                async for response in responses:
                    yield response
        finally:
            self._streams.remove(stream)
            reading.cancel()
            await asyncio.gather(reading, stream.give_up(), return_exceptions=True)

    def leave(self) -> None:
        """Ask the other sides to make their next calls elsewhere; calls that come all the same are answered."""
        self._leaving = True
        for stream in self._streams:
            stream.leave()

    async def _answer(self, call: CarriedCall) -> CarriedAnswer:
        served = self._chain.served.get(call.path)
        if served is None:
            return _failure(call, grpc.StatusCode.UNIMPLEMENTED)
        if self._running >= self._limit:
            return _failure(call, grpc.StatusCode.RESOURCE_EXHAUSTED)
        context = CarriedContext(call)
        self._running += 1
        try:
            answer = await served(call.message, cast("Context", context), wants_json=call.wants_json)
            if isinstance(answer, JsonAnswer):
                context.answer.message, context.answer.etag, context.answer.is_json = answer.json(), answer.etag, True
            else:
                context.answer.message = serialize(answer)
        except aio.AbortError:
            return context.answer  # which says why
        except Exception as broken:  # noqa: BLE001 - gRPC would tell the caller its text
            log.error("carried_call_failed", error=type(broken).__name__, rpc_method=call.path)  # noqa: TRY400 - the text may hold anything
            return _failure(call, grpc.StatusCode.INTERNAL)
        finally:
            self._running -= 1
        return context.answer


def _failure(call: CarriedCall, code: grpc.StatusCode) -> CarriedAnswer:
    return CarriedAnswer(id=call.id, code=code.value[0])
