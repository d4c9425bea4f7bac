"""The service's side of one lane: the calls under way on it, and what is ready to be said."""

import asyncio
from collections.abc import Awaitable, Callable

from google.protobuf.message import DecodeError

from chassis.carrier.parcels import parcels
from chassis.carrier.wire import Wire
from kith.common.v1.carrier_pb2 import CarriedAnswer, CarriedCall, CarryRequest, CarryResponse

Answer = Callable[[CarriedCall], Awaitable[CarriedAnswer]]


class Answers:
    """Runs the calls of a lane side by side, and says together what is answered in one turn of the loop. A ticket comes first."""

    def __init__(self, answer: Answer, *, admit: Callable[[bytes], bool], over: Callable[["Answers"], None]) -> None:
        self.wire = Wire(self)
        self._answer = answer
        self._admit = admit
        self._over = over
        self._loop = asyncio.get_running_loop()
        self._admitted = False
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._ready: list[CarriedAnswer] = []
        self._due = False
        self._held = False

    def hear(self, frame: bytes) -> None:
        """Begin and cancel calls as the other side says."""
        if not self._admitted:
            self._welcome(frame)
            return
        try:
            request = CarryRequest.FromString(frame)
        except DecodeError:
            self.wire.abort()
            return
        for call in request.calls:
            self._tasks[call.id] = self._loop.create_task(self._run(call), name="carried call")
        for number in request.cancelled:
            if number in self._tasks:
                self._tasks[number].cancel()
        if self.wire.full and not self._held:
            self._held = True
            self.wire.hold()

    def room(self) -> None:
        """Go on after the other side took what was said."""
        self._say()
        if self._held and not self.wire.full:
            self._held = False
            self.wire.go_on()

    def lost(self) -> None:
        """Cancel what is under way: nobody hears its answer."""
        for task in self._tasks.values():
            task.cancel()
        self._over(self)

    async def end(self) -> None:
        """End the lane at once, and wait for the end of what was under way."""
        self.wire.abort()
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def leave(self) -> None:
        """Ask for no more calls."""
        if self._admitted:
            self.wire.send(CarryResponse(leaving=True).SerializeToString())

    def _welcome(self, ticket: bytes) -> None:
        if self._admit(ticket):
            self._admitted = True
            self.wire.send(CarryResponse().SerializeToString())
        else:
            self.wire.abort()

    async def _run(self, call: CarriedCall) -> None:
        try:
            answer = await self._answer(call)
        finally:
            del self._tasks[call.id]
        self._ready.append(answer)
        if not self._due:
            self._due = True
            self._loop.call_soon(self._say)

    def _say(self) -> None:
        self._due = False
        if self.wire.full:
            return
        ready, self._ready = self._ready, []
        for piece in parcels(ready):
            self.wire.send(CarryResponse(answers=piece).SerializeToString())
