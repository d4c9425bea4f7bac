"""The way of unary calls to one RPC: carried where a lane is open, else each by itself."""

import asyncio
from typing import Any, Final

import grpc

from chassis.carrier.lane import LaneLostError, Metadata, failure
from chassis.carrier.lanes import Lanes
from chassis.carrier.spread import Spread
from kith.common.v1.carrier_pb2 import CarriedAnswer

CARRIED_BYTES: Final = 64 * 1024  # of a request at the most; a larger one would hold up those behind it


class Way:
    """A callable for one RPC that takes bytes and answers with bytes."""

    def __init__(self, path: str, alone: Any, lanes: Lanes | Spread, *, repeatable: bool) -> None:
        self._path = path
        self._alone = alone
        self._lanes = lanes
        self._repeatable = repeatable

    async def __call__(self, message: bytes, metadata: Metadata, *, seconds: float, wants_json: bool = False) -> CarriedAnswer:
        """Return the answer, which may be JSON if that is wanted; raise AioRpcError.

        A call whose lane broke is made once more by itself, unless the service may have heard of it and once is all it may be done.
        """
        lane = self._lanes.lane
        if lane is None or len(message) > CARRIED_BYTES:
            return await self._by_itself(message, metadata, seconds)
        until = asyncio.get_running_loop().time() + seconds
        try:
            return await lane.call(self._path, message, metadata, seconds=seconds, wants_json=wants_json)
        except LaneLostError as lost:
            if lost.sent and not self._repeatable:
                raise failure(grpc.StatusCode.UNAVAILABLE) from None
        return await self._by_itself(message, metadata, until - asyncio.get_running_loop().time())

    async def _by_itself(self, message: bytes, metadata: Metadata, seconds: float) -> CarriedAnswer:
        call = self._alone(message, metadata=metadata, timeout=seconds)
        answer = CarriedAnswer(message=await call)
        answer.trailing.extend(part for pair in await call.trailing_metadata() for part in pair if isinstance(pair[1], str))
        return answer
