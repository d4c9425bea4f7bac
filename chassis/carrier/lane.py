"""The caller's side of one stream: calls go out together, and each waits for its own answer."""

import asyncio
from itertools import count
from typing import Any, Final

import grpc
from grpc import aio

from chassis.carrier.parcels import parcels
from kith.common.v1.carrier_pb2 import CarriedAnswer, CarriedCall, CarryRequest, CarryResponse

Metadata = list[tuple[str, str]]

_DETAILS: Final = "grpc-status-details-bin"
_CODES: Final = {code.value[0]: code for code in grpc.StatusCode}


class LaneLostError(ConnectionError):
    """The stream ended before the call was answered. `sent` says whether the service may have heard of it."""

    def __init__(self, *, sent: bool) -> None:
        super().__init__("the stream ended")
        self.sent = sent


class Lane:
    """One stream, made of an open gRPC call; it works while `run` runs. `stands` once the service greeted, `over` when it takes no more."""

    def __init__(self, stream: Any) -> None:
        self.stands = asyncio.Event()
        self.over = asyncio.Event()
        self._stream = stream
        self._numbers = count(1)
        self._waiting: dict[int, asyncio.Future[CarriedAnswer]] = {}
        self._calls: list[CarriedCall] = []
        self._cancelled: list[int] = []
        self._wake = asyncio.Event()

    @property
    def open(self) -> bool:
        """Say whether calls can be made."""
        return self.stands.is_set() and not self.over.is_set()

    @property
    def load(self) -> int:
        """Return how many calls are under way."""
        return len(self._waiting)

    async def run(self) -> None:
        """Carry calls until the lane is over and the last one is answered; raise AioRpcError when the stream breaks."""
        writing = asyncio.create_task(self._write(), name="lane")
        try:
            await self._read()
        finally:
            self.over.set()
            writing.cancel()
            await asyncio.gather(writing, return_exceptions=True)
            self._lose()

    def finish(self) -> None:
        """Take no more calls; end after the last answer."""
        self.over.set()
        self._wake.set()

    async def call(self, path: str, message: bytes, metadata: Metadata, *, seconds: float, wants_json: bool) -> CarriedAnswer:
        """Return the answer of a call; raise AioRpcError as gRPC itself does, or LaneLostError."""
        loop = asyncio.get_running_loop()
        number = next(self._numbers)
        answer: asyncio.Future[CarriedAnswer] = loop.create_future()
        self._waiting[number] = answer
        said = [part for pair in metadata for part in pair]
        self._calls.append(CarriedCall(id=number, path=path, metadata=said, seconds=seconds, message=message, wants_json=wants_json))
        self._wake.set()
        timer = loop.call_later(seconds, self._time_is_over, number)
        try:
            found = await answer
        except asyncio.CancelledError:
            self._cancelled.append(number)
            raise
        finally:
            timer.cancel()
            self._waiting.pop(number)
            if self._cancelled or self.over.is_set():
                self._wake.set()
        if found.code:
            raise failure(_CODES[found.code], found.status)
        return found

    async def _read(self) -> None:
        response: CarryResponse
        async for response in self._stream:
            for answer in response.answers:
                waiting = self._waiting.get(answer.id)
                if waiting is not None and not waiting.done():
                    waiting.set_result(answer)
            self.stands.set()
            if response.leaving:
                self.finish()

    async def _write(self) -> None:
        while not self.over.is_set() or self._waiting:
            await self._wake.wait()
            self._wake.clear()
            calls, self._calls = self._calls, []
            for piece in parcels(calls):
                await self._stream.write(CarryRequest(calls=piece))
            if self._cancelled:
                cancelled, self._cancelled = self._cancelled, []
                await self._stream.write(CarryRequest(cancelled=cancelled))
        await self._stream.done_writing()

    def _time_is_over(self, number: int) -> None:
        if not self._waiting[number].done():
            self._cancelled.append(number)
            self._waiting[number].set_exception(failure(grpc.StatusCode.DEADLINE_EXCEEDED))

    def _lose(self) -> None:
        """Tell everybody who waits."""
        unsent = {call.id for call in self._calls}
        for number, waiting in self._waiting.items():
            if not waiting.done():
                waiting.set_exception(LaneLostError(sent=number not in unsent))


def failure(code: grpc.StatusCode, status: bytes = b"") -> aio.AioRpcError:
    """Return what a call of gRPC's own would have raised; `status` is a google.rpc.Status."""
    trailing = aio.Metadata((_DETAILS, status)) if status else aio.Metadata()
    return aio.AioRpcError(code, aio.Metadata(), trailing)
