"""The service's side: where lanes begin, and what answers the calls on them."""

import asyncio
import contextlib
import secrets
import socket
from time import monotonic
from typing import Final, Self, cast

import grpc
import structlog
from grpc import aio

from chassis.answers import JsonAnswer
from chassis.carrier.answers import Answers
from chassis.carrier.context import CarriedContext
from chassis.carrier.wire import Wire
from chassis.interceptors.chain import Chain, Context, serialize
from kith.common.v1.carrier_pb2 import CarriedAnswer, CarriedCall, OpenLaneRequest, OpenLaneResponse
from kith.common.v1.carrier_pb2_grpc import CarrierServiceServicer

TICKET_BYTES: Final = 32
TICKET_SECONDS: Final = 10.0
TICKETS: Final = 1000  # that wait for their connection at once; the oldest give way

_EVERYWHERE: Final = frozenset({"", "0.0.0.0", "::"})  # noqa: S104 - compared, not bound

log = structlog.get_logger()


class Carrier(CarrierServiceServicer):
    """Serves the lanes of one process inside its block. Of more than `limit` calls at once the last are refused, as by gRPC itself.

    Lanes begin at a port that the system picks, or at the one that is given; only who has a ticket is heard there.
    """

    def __init__(self, chain: Chain, *, host: str, port: int, limit: int) -> None:
        self._chain = chain
        self._host = host
        self._port = port
        self._limit = limit
        self._running = 0
        self._lanes: set[Answers] = set()
        self._tickets: dict[bytes, float] = {}
        self._leaving = False
        self._empty = asyncio.Event()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.get_running_loop().create_server(self._lane, self._host, self._port)
        self._port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        await asyncio.gather(*(lane.end() for lane in self._lanes))

    async def OpenLane(self, request: OpenLaneRequest, context: Context) -> OpenLaneResponse:
        """Return where a lane begins, with a ticket for one."""
        ticket = secrets.token_bytes(TICKET_BYTES)
        self._tickets[ticket] = monotonic() + TICKET_SECONDS
        if len(self._tickets) > TICKETS:
            del self._tickets[next(iter(self._tickets))]
        return OpenLaneResponse(host=_reachable(self._host), port=self._port, ticket=ticket)

    def leave(self) -> None:
        """Ask the other sides to make their next calls elsewhere; calls that come all the same are answered."""
        self._leaving = True
        for lane in self._lanes:
            lane.leave()

    async def drained(self, seconds: float) -> None:
        """Return when no lane is left, or after some seconds: the other sides end theirs when the last call was answered."""
        self.leave()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while self._lanes:
                    self._empty.clear()
                    await self._empty.wait()

    def _lane(self) -> Wire:
        lane = Answers(self._answer, admit=self._admit, over=self._over)
        self._lanes.add(lane)
        return lane.wire

    def _admit(self, ticket: bytes) -> bool:
        return self._tickets.pop(ticket, 0.0) > monotonic() and not self._leaving

    def _over(self, lane: Answers) -> None:
        self._lanes.discard(lane)
        if not self._lanes:
            self._empty.set()

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


def _reachable(host: str) -> str:
    """Return an address under which others reach a process that listens on the host."""
    return socket.gethostbyname(socket.gethostname()) if host in _EVERYWHERE else host
