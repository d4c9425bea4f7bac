"""The caller's side of one lane: calls go out together, and each waits for its own answer."""

import asyncio
from itertools import count
from typing import Final

import grpc
from grpc import aio

from chassis.carrier.parcels import parcels
from chassis.carrier.wire import Wire
from kith.common.v1.carrier_pb2 import CarriedAnswer, CarriedCall, CarryRequest, CarryResponse

Metadata = list[tuple[str, str]]

_DETAILS: Final = "grpc-status-details-bin"
_CODES: Final = {code.value[0]: code for code in grpc.StatusCode}


class LaneLostError(ConnectionError):
    """The lane ended before the call was answered. `sent` says whether the service may have heard of it."""

    def __init__(self, *, sent: bool) -> None:
        super().__init__("the lane ended")
        self.sent = sent


class Lane:
    """One connection to one process. `stands` is set once the service greeted, `over` when no more calls are taken, `gone` at its end."""

    def __init__(self) -> None:
        self.wire = Wire(self)
        self.stands = asyncio.Event()
        self.over = asyncio.Event()
        self.gone = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._numbers = count(1)
        self._waiting: dict[int, asyncio.Future[CarriedAnswer]] = {}
        self._calls: list[CarriedCall] = []
        self._cancelled: list[int] = []
        self._due = False

    @property
    def open(self) -> bool:
        """Say whether calls can be made."""
        return self.stands.is_set() and not self.over.is_set()

    @property
    def load(self) -> int:
        """Return how many calls are under way."""
        return len(self._waiting)

    async def connect(self, host: str, port: int, ticket: bytes) -> None:
        """Open the lane; raise OSError. It stands when the service has greeted."""
        await self._loop.create_connection(lambda: self.wire, host, port)
        self.wire.send(ticket)

    def finish(self) -> None:
        """Take no more calls; end after the last answer."""
        self.over.set()
        if not self._waiting:
            self._flush()
            self.wire.close()

    async def call(self, path: str, message: bytes, metadata: Metadata, *, seconds: float, wants_json: bool) -> CarriedAnswer:
        """Return the answer of a call; raise AioRpcError as gRPC itself does, or LaneLostError."""
        number = next(self._numbers)
        answer: asyncio.Future[CarriedAnswer] = self._loop.create_future()
        self._waiting[number] = answer
        said = [part for pair in metadata for part in pair]
        self._calls.append(CarriedCall(id=number, path=path, metadata=said, seconds=seconds, message=message, wants_json=wants_json))
        self._flush_soon()
        timer = self._loop.call_later(seconds, self._time_is_over, number)
        try:
            found = await answer
        except asyncio.CancelledError:
            self._cancel(number)
            raise
        finally:
            timer.cancel()
            del self._waiting[number]
            if self.over.is_set():
                self.finish()
        if found.code:
            raise failure(_CODES[found.code], found.status)
        return found

    def hear(self, frame: bytes) -> None:
        """Take answers to those who wait for them."""
        response = CarryResponse.FromString(frame)
        for answer in response.answers:
            waiting = self._waiting.get(answer.id)
            if waiting is not None and not waiting.done():
                waiting.set_result(answer)
        self.stands.set()
        if response.leaving:
            self.finish()

    def room(self) -> None:
        """Send what had to wait."""
        self._flush()

    def lost(self) -> None:
        """Tell everybody who waits."""
        self.over.set()
        self.gone.set()
        unsent = {call.id for call in self._calls}
        for number, waiting in self._waiting.items():
            if not waiting.done():
                waiting.set_exception(LaneLostError(sent=number not in unsent))

    def _flush_soon(self) -> None:
        if not self._due:
            self._due = True
            self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        """Send what gathered in this turn of the loop."""
        self._due = False
        if self.wire.full or self.gone.is_set():
            return
        calls, self._calls = self._calls, []
        cancelled, self._cancelled = self._cancelled, []
        for piece in parcels(calls):
            self.wire.send(CarryRequest(calls=piece).SerializeToString())
        if cancelled:
            self.wire.send(CarryRequest(cancelled=cancelled).SerializeToString())

    def _cancel(self, number: int) -> None:
        self._cancelled.append(number)
        self._flush_soon()

    def _time_is_over(self, number: int) -> None:
        if not self._waiting[number].done():
            self._cancel(number)
            self._waiting[number].set_exception(failure(grpc.StatusCode.DEADLINE_EXCEEDED))


def failure(code: grpc.StatusCode, status: bytes = b"") -> aio.AioRpcError:
    """Return what a call of gRPC's own would have raised; `status` is a google.rpc.Status."""
    trailing = aio.Metadata((_DETAILS, status)) if status else aio.Metadata()
    return aio.AioRpcError(code, aio.Metadata(), trailing)
