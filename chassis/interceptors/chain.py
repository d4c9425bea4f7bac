"""The chain: stages around every RPC, composed once at the start."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Final, Protocol

import grpc
from google.protobuf.message import Message
from grpc import aio

from chassis import ids
from chassis.context import Request, enter
from chassis.contract import ContractError, Method
from chassis.database.pool import Database

ORDER: Final = ("telemetry", "errors", "deadline", "identity", "policy", "idempotency")
"""Telemetry sees every outcome; errors turn whatever is raised below into a status; no work is done before the deadline
stands; policy needs the caller; an idempotency key belongs to a caller who may call."""

if TYPE_CHECKING:
    Context = aio.ServicerContext[Any, Any]
    Handler = grpc.RpcMethodHandler[Any, Any]
else:
    Context = aio.ServicerContext
    Handler = grpc.RpcMethodHandler

Next = Callable[["Call"], Awaitable[Any]]


class Served(Protocol):
    """One RPC without streams, with the stages around it."""

    async def __call__(self, message: bytes, context: Context, *, wants_json: bool) -> Any:
        """Return what answers a request message in bytes."""


@dataclass(slots=True, kw_only=True)
class Call:
    """One RPC under way. `message` is None where the client streams; `code` and `reason` say how it ended.

    `metadata` holds the last value of each name, `entries` is how many there were in all.
    """

    method: Method
    message: Message | None
    context: Context
    metadata: Mapping[str, str]
    entries: int
    authorizations: Sequence[str]
    request: Request
    behaviour: Callable[["Call"], Awaitable[Any]]
    code: int = 0
    reason: str = ""


class Stage(Protocol):
    """One stage. It calls `proceed` at most once, unless repeating the rest is its task."""

    name: ClassVar[str]

    async def __call__(self, call: Call, proceed: Next) -> Any:
        """Do this stage's part and return what the rest answers."""
        ...


class Chain:
    """Puts the stages around RPCs; refuses the start when they are not the ones of ORDER.

    `served` are the RPCs without streams by path, as anybody may call them who has a request message in bytes.
    """

    def __init__(self, stages: Sequence[Stage], database: Database | None) -> None:
        names = tuple(stage.name for stage in stages)
        if names != ORDER:
            raise ContractError(f"interceptors run in the order {ORDER}, not {names}")
        self._database = database
        self._run = _compose(stages)
        self.served: dict[str, Served] = {}

    def wrap(self, method: Method, handler: Handler) -> Handler:
        """Return the handler of an RPC with the stages around it."""
        behaviour = _behaviour(handler)
        read: Any = handler.request_deserializer

        async def run(message: Any, context: Context) -> Any:
            return await self._run(self._call(method, message, context, behaviour))

        async def served(message: bytes, context: Context, *, wants_json: bool) -> Any:
            call = self._call(method, read(message), context, behaviour)
            call.request.wants_json = wants_json
            return await self._run(call)

        codec = {"request_deserializer": read, "response_serializer": serialize}
        match handler.request_streaming, handler.response_streaming:
            case False, False:
                self.served[method.path] = served
                return grpc.unary_unary_rpc_method_handler(run, **codec)
            case False, True:
                return grpc.unary_stream_rpc_method_handler(run, **codec)
            case True, False:
                return grpc.stream_unary_rpc_method_handler(run, **codec)
            case _:
                return grpc.stream_stream_rpc_method_handler(run, **codec)

    def _call(self, method: Method, message: Any, context: Context, behaviour: Callable[[Call], Awaitable[Any]]) -> Call:
        metadata: dict[str, str] = {}
        authorizations: list[str] = []
        given = tuple(context.invocation_metadata() or ())
        for key, value in given:
            if key == "authorization":
                authorizations.append(str(value))
            metadata[key] = value if isinstance(value, str) else ""
        request = Request(request_id=ids.new(), database=self._database, method=method)
        enter(request)
        return Call(
            method=method,
            message=message if isinstance(message, Message) else None,
            context=context,
            metadata=metadata,
            entries=len(given),
            authorizations=authorizations,
            request=request,
            behaviour=behaviour if isinstance(message, Message) else _with(behaviour, message),
        )


def _with(behaviour: Callable[..., Awaitable[Any]], stream: Any) -> Callable[[Call], Awaitable[Any]]:
    return lambda call: behaviour(call, stream)


def _behaviour(handler: Handler) -> Callable[..., Awaitable[Any]]:
    """Return the servicer's method as one awaitable, whatever streams: answers of a stream are written as they come.

    However the call ends, the generator of its answers ends with it, here and in this call's context.
    """
    if handler.response_streaming:
        answers: Any = handler.stream_stream or handler.unary_stream

        async def write(call: Call, stream: Any = None) -> None:
            async with aclosing(answers(stream if stream is not None else call.message, call.context)) as each:
                async for answer in each:
                    await call.context.write(answer)

        return write
    single: Any = handler.stream_unary or handler.unary_unary
    return lambda call, stream=None: single(stream if stream is not None else call.message, call.context)


def serialize(answer: Message | bytes) -> bytes:
    """Serialize an answer; one that comes from an idempotency record is bytes already."""
    return answer if isinstance(answer, bytes) else answer.SerializeToString()


def _compose(stages: Sequence[Stage]) -> Next:
    proceed: Next = _handle
    for stage in reversed(stages):
        proceed = _bind(stage, proceed)
    return proceed


def _bind(stage: Stage, proceed: Next) -> Next:
    return lambda call: stage(call, proceed)


async def _handle(call: Call) -> Any:
    return await call.behaviour(call)
