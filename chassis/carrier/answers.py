"""The answers of one stream: its calls under way, and what is ready to be said."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable

from chassis.carrier.parcels import parcels
from kith.common.v1.carrier_pb2 import CarriedAnswer, CarriedCall, CarryRequest, CarryResponse

Answer = Callable[[CarriedCall], Awaitable[CarriedAnswer]]


class Answers:
    """Runs the calls of a stream side by side and gathers what they answer."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._ready: list[CarriedAnswer] = []
        self._wake = asyncio.Event()
        self._leaving = False
        self._heard_all = False

    async def read(self, requests: AsyncIterator[CarryRequest]) -> None:
        """Begin and cancel calls as the other side says, until it has said all."""
        try:
            async for request in requests:
                for call in request.calls:
                    self._tasks[call.id] = asyncio.create_task(self._run(call), name="carried call")
                for number in request.cancelled:
                    if number in self._tasks:
                        self._tasks[number].cancel()
        finally:
            self._heard_all = True
            self._wake.set()

    async def responses(self) -> AsyncGenerator[CarryResponse, None]:
        """Yield what is to be said, as much at a time as there is, until the other side has said all and was answered."""
        while True:
            while self._ready or self._leaving:
                ready, self._ready = self._ready, []
                leaving, self._leaving = self._leaving, False
                if leaving:
                    yield CarryResponse(leaving=True)
                for piece in parcels(ready):
                    yield CarryResponse(answers=piece)
            if self._heard_all and not self._tasks:
                return
            self._wake.clear()
            await self._wake.wait()

    def leave(self) -> None:
        """Say that no more calls should come."""
        self._leaving = True
        self._wake.set()

    async def give_up(self) -> None:
        """Cancel what is under way: nobody hears its answer."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _run(self, call: CarriedCall) -> None:
        try:
            answer = await self._answer(call)
            self._ready.append(answer)
        finally:
            del self._tasks[call.id]
            self._wake.set()
