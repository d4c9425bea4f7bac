"""A lane to one process, kept open: a new one when its service leaves, and when it broke."""

import asyncio
import contextlib
import random
from collections.abc import Callable
from typing import Final, NoReturn

from grpc import aio

from chassis.carrier.lane import Lane
from kith.common.v1.carrier_pb2 import OpenLaneRequest, OpenLaneResponse
from kith.common.v1.carrier_pb2_grpc import CarrierServiceStub

AGE_SECONDS: Final = 240.0  # of a lane when the next one is opened, so that calls come to new processes too
OPEN_SECONDS: Final = 2.0  # that a lane may take to open
FIRST_PAUSE: Final = 0.1  # seconds before another try, doubled up to
LONGEST_PAUSE: Final = 5.0
SERVICE_TOKEN: Final = "x-kith-service"

_random: Final = random.Random()  # noqa: S311 - spreads tries


class Lanes:
    """The lane of one channel. While there is none, calls are made one by one."""

    def __init__(self, channel: aio.Channel) -> None:
        self._stub = CarrierServiceStub(channel)
        self._lane: Lane | None = None

    @property
    def lane(self) -> Lane | None:
        """Return the lane, if one is open."""
        return self._lane if self._lane is not None and self._lane.open else None

    async def run(self, token: Callable[[], str]) -> NoReturn:
        """Keep a lane open until cancelled; `token` gives a service token for it."""
        pause = FIRST_PAUSE
        try:
            while True:
                lane = await self._opened(token())
                if lane is not None:
                    pause = FIRST_PAUSE
                    before, self._lane = self._lane, lane
                    if before is not None:
                        before.finish()
                    with contextlib.suppress(TimeoutError):
                        await asyncio.wait_for(lane.over.wait(), AGE_SECONDS * _random.uniform(0.8, 1))
                if lane is None or lane.over.is_set():
                    await asyncio.sleep(pause * _random.uniform(0.5, 1))
                    pause = min(pause * 2, LONGEST_PAUSE)
        finally:
            if self._lane is not None and not self._lane.gone.is_set():
                self._lane.wire.close()

    async def _opened(self, token: str) -> Lane | None:
        """Return a lane that stands, None if there can be none now."""
        lane = Lane()
        with contextlib.suppress(aio.AioRpcError, OSError, TimeoutError):
            async with asyncio.timeout(OPEN_SECONDS):
                found: OpenLaneResponse = await self._stub.OpenLane(OpenLaneRequest(), metadata=((SERVICE_TOKEN, token),))
                await lane.connect(found.host, found.port, found.ticket)
                await _stands(lane)
        if lane.open:
            return lane
        lane.wire.abort()
        return None


async def _stands(lane: Lane) -> None:
    """Wait until a lane stands or will not."""
    waits = [asyncio.ensure_future(each.wait()) for each in (lane.stands, lane.over)]
    try:
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for each in waits:
            each.cancel()
