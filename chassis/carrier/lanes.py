"""A lane to one service, kept open: a new one when it gets old, when its service leaves, and when it broke."""

import asyncio
import contextlib
import random
from collections.abc import Callable
from typing import Final, NoReturn

from grpc import aio

from chassis.carrier.lane import Lane
from kith.common.v1.carrier_pb2_grpc import CarrierServiceStub

AGE_SECONDS: Final = 240.0  # of a lane when the next one is opened: well before its deadline, so that no call is cut
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
        async with asyncio.TaskGroup() as group:
            while True:
                lane = Lane(self._stub.Carry(metadata=((SERVICE_TOKEN, token()),)))
                group.create_task(self._carry(lane), name="lane")
                if await _stands(lane):
                    pause = FIRST_PAUSE
                    self._replace(lane)
                    with contextlib.suppress(TimeoutError):
                        await asyncio.wait_for(lane.over.wait(), AGE_SECONDS * _random.uniform(0.8, 1))
                        await asyncio.sleep(pause)
                else:
                    await asyncio.sleep(pause * _random.uniform(0.5, 1))
                    pause = min(pause * 2, LONGEST_PAUSE)
        raise AssertionError

    def _replace(self, lane: Lane) -> None:
        before, self._lane = self._lane, lane
        if before is not None:
            before.finish()

    async def _carry(self, lane: Lane) -> None:
        with contextlib.suppress(aio.AioRpcError, asyncio.InvalidStateError):
            await lane.run()


async def _stands(lane: Lane) -> bool:
    """Wait until a lane stands or will not."""
    waits = [asyncio.ensure_future(each.wait()) for each in (lane.stands, lane.over)]
    await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    for each in waits:
        each.cancel()
    return lane.open
