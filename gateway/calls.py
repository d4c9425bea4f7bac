"""Calls to the services: what the edge says about a request beside its message, and what became of it."""

import time
from collections.abc import Callable
from typing import Any, Final

from grpc import aio

from chassis.errors import Reason
from chassis.telemetry import metrics, tracing
from gateway import headers, problems
from gateway.contract import Method
from gateway.problems import Problem
from gateway.requests import Request
from kith.common.v1.carrier_pb2 import CarriedAnswer

ServiceToken = Callable[[str], str]
"""Gives the edge's own token for a service by its name."""

Metadata = list[tuple[str, str]]

_MAX_USER_AGENT: Final = 256
_MAX_LANGUAGE: Final = 256
REPLAYED: Final = "idempotency-replayed"


class Rpc:
    """One RPC as the edge calls it."""

    def __init__(self, method: Method, stub: Any, *, service_token: ServiceToken) -> None:
        self.stub = stub
        self._name = method.path[1:]
        self._audience = method.upstream
        self._service_token = service_token

    def metadata(self, request: Request, traceparent: str) -> Metadata:
        """Return what the service is told: whose call it is, and what the edge itself knows for certain."""
        given = request.headers
        found = [
            ("x-kith-service", self._service_token(self._audience)),
            ("x-kith-client-ip", request.client),
            ("x-request-id", request.request_id),
            ("traceparent", traceparent),
        ]
        if b"authorization" in given:
            found.append(("authorization", _authorization(request)))
        optional = (
            ("x-kith-user-agent", headers.plain(given, b"user-agent", _MAX_USER_AGENT)),
            ("accept-language", headers.plain(given, b"accept-language", _MAX_LANGUAGE)),
            ("idempotency-key", headers.idempotency_key(given)),
        )
        found.extend((name, value) for name, value in optional if value)
        return found

    async def unary(self, request: Request, message: bytes, *, seconds: float, wants_json: bool) -> CarriedAnswer:
        """Return the answer, which may be JSON already if that is wanted; raise a Problem."""
        with tracing.call(self._name) as span:
            metadata = self.metadata(request, span.traceparent)
            began = time.perf_counter()
            try:
                answer: CarriedAnswer = await self.stub(message, metadata, seconds=seconds, wants_json=wants_json)
            except aio.AioRpcError as error:
                raise self.failed(request, error, began) from None
            self._observe("OK", began)
            return answer

    async def succeeded(self, call: Any, began: float) -> bool:
        """Count a call that was answered; say whether the answer is a replay."""
        self._observe("OK", began)
        return bool((await call.trailing_metadata()).get(REPLAYED) == "true")

    def failed(self, request: Request, error: aio.AioRpcError, began: float) -> Problem:
        """Count a call that failed; return what the client is told."""
        self._observe(error.code().name, began)
        return problems.of_call(error, if_match=b"if-match" in request.headers)

    def _observe(self, code: str, began: float) -> None:
        metrics.rpc_client_call(self._name, code).observe(time.perf_counter() - began, tracing.current().exemplar)


def _authorization(request: Request) -> str:
    value = headers.plain(request.headers, b"authorization", headers.MAX_VALUE)
    if not value:
        raise Problem(401, Reason.TOKEN_INVALID, "The Authorization header cannot be read.")
    return value
