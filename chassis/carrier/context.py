"""What a carried call knows of its transport: the part of gRPC's own context that the chain uses."""

from collections.abc import Iterable
from time import monotonic
from typing import NoReturn

import grpc
from grpc import aio

from kith.common.v1.carrier_pb2 import CarriedAnswer, CarriedCall

_DETAILS = "grpc-status-details-bin"


class CarriedContext:
    """The context of one carried call; it collects what is said beside the answer."""

    __slots__ = ("_metadata", "_until", "answer")

    def __init__(self, call: CarriedCall) -> None:
        given = iter(call.metadata)
        self._metadata = tuple(zip(given, given, strict=True))
        self._until = monotonic() + call.seconds
        self.answer = CarriedAnswer(id=call.id)

    def invocation_metadata(self) -> tuple[tuple[str, str], ...]:
        """Return the metadata of the call."""
        return self._metadata

    def time_remaining(self) -> float:
        """Return the seconds for which the caller still waits."""
        return max(0.0, self._until - monotonic())

    def set_trailing_metadata(self, trailing: Iterable[tuple[str, str]]) -> None:
        """Say something that follows the answer."""
        self.answer.trailing[:] = [part for pair in trailing for part in pair]

    async def abort_with_status(self, status: grpc.Status) -> NoReturn:
        """End the call with a failure."""
        self.answer.code = status.code.value[0]
        self.answer.status = next(value for key, value in status.trailing_metadata if key == _DETAILS and isinstance(value, bytes))
        raise aio.AbortError
