"""The test service: echoes what it is asked, and remembers it."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import grpc
from google.protobuf import message_factory
from google.protobuf.any_pb2 import Any as Packed
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2
from grpc import aio
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_status import rpc_status

from gateway.contract import Contract
from kith.common.v1.exports_pb2 import Download

SERVICE = "kith.shop.v1.ShelfService"
MARK = "SECRET-INSIDE"
FILE_NAME = 'Größen "1/2".csv'


class Shop(grpc.GenericRpcHandler):
    """Serves the test contract; `seen` holds the requests and their metadata, newest last."""

    def __init__(self, contract: Contract) -> None:
        self.pool = contract.pool
        self.new = {each.name: contract.message_class(each) for each in self._messages(contract)}
        self.seen: list[Any] = []
        self.metadata: list[dict[str, Any]] = []
        self.cancelled = 0
        self.written = 0

    @property
    def last(self) -> Any:
        return self.seen[-1]

    @property
    def told(self) -> dict[str, Any]:
        return self.metadata[-1]

    def service(self, details: grpc.HandlerCallDetails) -> Any:
        service, _, name = details.method.removeprefix("/").partition("/")
        if service != SERVICE:
            return None
        method = self.pool.FindServiceByName(SERVICE).FindMethodByName(name)
        kind = {
            (False, False): grpc.unary_unary_rpc_method_handler,
            (False, True): grpc.unary_stream_rpc_method_handler,
            (True, False): grpc.stream_unary_rpc_method_handler,
        }[method.client_streaming, method.server_streaming]
        return kind(self._remembering(name, method), self._kind(method.input_type).FromString, lambda answer: answer.SerializeToString())

    def _remembering(self, name: str, method: Any) -> Callable[..., Any]:
        handler = getattr(self, f"on_{name}", None) or self._echo(method)
        if method.client_streaming or method.server_streaming:
            return handler

        async def remember(request: Message, context: aio.ServicerContext) -> Any:
            self.note(request, context)
            return await handler(request, context)

        return remember

    def note(self, request: Message, context: Any) -> None:
        self.seen.append(request)
        self.metadata.append(dict(context.invocation_metadata()))

    def _echo(self, method: Any) -> Callable[..., Any]:
        """Answer with a message that has the request's fields of the same names."""
        kind = self._kind(method.output_type)

        async def echo(request: Any, _: Any) -> Any:
            if method.input_type == method.output_type:
                return request
            source = getattr(request, "shelf", request)
            known = {field.name for field in source.DESCRIPTOR.fields} & {field.name for field in kind.DESCRIPTOR.fields}
            answer = kind(
                **{name: getattr(source, name) for name in known if name not in {"place", "labels", "extra", "create_time", "tags"}}
            )
            if "etag" in answer.DESCRIPTOR.fields_by_name:
                answer.etag = '"7"'
            return answer

        return echo

    async def on_Refuse(self, request: Any, context: aio.ServicerContext) -> Any:
        if request.message == "crash":
            raise ValueError(MARK)
        status = status_pb2.Status(code=request.code, message=request.message)
        if request.reason:
            status.details.append(
                packed(error_details_pb2.ErrorInfo(reason=request.reason, domain="shop.kith.dev", metadata={"whoChanged": "x"}))
            )
        if request.fields:
            violations = [error_details_pb2.BadRequest.FieldViolation(field=each, description="is wrong") for each in request.fields]
            status.details.append(packed(error_details_pb2.BadRequest(field_violations=violations)))
        if request.HasField("retry"):
            delay = Duration(seconds=request.retry.seconds, nanos=request.retry.nanos)
            status.details.append(packed(error_details_pb2.RetryInfo(retry_delay=delay)))
        await context.abort_with_status(rpc_status.to_status(status))

    async def on_CreateShelf(self, request: Any, context: aio.ServicerContext) -> Any:
        if self.told.get("idempotency-key") == "again":
            context.set_trailing_metadata((("idempotency-replayed", "true"),))
        return await self._echo(self.method("CreateShelf"))(request, context)

    async def on_PutRaw(self, request: Any, _: Any) -> Any:
        return request.content

    async def on_Upload(self, requests: AsyncIterator[Any], context: aio.ServicerContext) -> Any:
        pieces = []
        try:
            async for request in requests:
                if not pieces:
                    self.note(request, context)
                pieces.append(request)
                if request.name == "refused":
                    await context.abort(grpc.StatusCode.UNAVAILABLE, MARK)
        except BaseException:
            self.cancelled += 1
            raise
        first = pieces[0] if pieces else self.new["RawRequest"]()
        return self.new["Uploaded"](
            name=first.name,
            size=sum(len(each.content.data) for each in pieces),
            pieces=len(pieces),
            content_type=first.content.content_type,
            kind=first.kind,
        )

    async def on_Watch(self, request: Any, context: aio.ServicerContext) -> AsyncIterator[Any]:
        self.note(request, context)
        for number in range(request.count):
            if request.HasField("fail_after") and number == request.fail_after:
                await self._fail(context)
            yield self.new["Shelf"](id=str(number))

    async def on_Download(self, request: Any, context: aio.ServicerContext) -> AsyncIterator[Any]:
        kind = self._kind(self.method("Download").output_type)
        name = {"type_url": "type.googleapis.com/kith.common.v1.Download", "value": Download(file_name=FILE_NAME).SerializeToString()}
        try:
            for number in range(request.count):
                if request.HasField("fail_after") and number == request.fail_after:
                    await self._fail(context)
                yield kind(content_type="text/csv", data=(b"%d," % number).ljust(request.size), extensions=[] if number else [name])
                self.written = number + 1
        except (asyncio.CancelledError, GeneratorExit):
            self.cancelled += 1
            raise

    async def _fail(self, context: aio.ServicerContext) -> None:
        status = status_pb2.Status(code=5, message="it is gone")
        status.details.append(packed(error_details_pb2.ErrorInfo(reason="NOT_FOUND", domain="shop.kith.dev")))
        await context.abort_with_status(rpc_status.to_status(status))

    async def on_SignIn(self, _: Any, __: Any) -> Any:
        return self.new["Session"](access_token="access", refresh_token="first")

    async def on_Refresh(self, request: Any, context: aio.ServicerContext) -> Any:
        if not request.refresh_token:
            await context.abort(grpc.StatusCode.UNAUTHENTICATED, "no token")
        return self.new["Session"](access_token="access", refresh_token=f"after-{request.refresh_token}")

    async def on_GetKeys(self, _: Any, __: Any) -> Any:
        return self._kind(self.method("GetKeys").output_type)(content_type="application/json", data=b'{"keys":[]}')

    def method(self, name: str) -> Any:
        return self.pool.FindServiceByName(SERVICE).FindMethodByName(name)

    def _kind(self, descriptor: Any) -> Any:
        return message_factory.GetMessageClass(descriptor)

    def _messages(self, contract: Contract) -> list[Any]:
        file = contract.pool.FindFileByName("shop.proto")
        return list(file.message_types_by_name.values())


def packed(message: Message) -> Packed:
    any_ = Packed()
    any_.Pack(message)
    return any_


async def serve(shop: Shop) -> tuple[aio.Server, int]:
    """Serve on a free port, with health."""
    server = aio.server()
    server.add_generic_rpc_handlers((shop,))
    servicer = health.aio.HealthServicer()
    await servicer.set("", health_pb2.HealthCheckResponse.SERVING)
    health_pb2_grpc.add_HealthServicer_to_server(servicer, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    return server, port
