"""Telemetry: one span, one measurement and one log line for every call, whatever becomes of it."""

import asyncio
from time import perf_counter
from typing import Any, ClassVar, Final

import structlog

from chassis.errors import Code
from chassis.interceptors.chain import Call, Next
from chassis.telemetry import metrics, tracing

SLOW: Final = 0.5  # seconds from which a call is worth a log line of its own (OPS-12: p99 > 500 ms pages)
_FAULTS: Final = frozenset({Code.UNKNOWN, Code.DEADLINE_EXCEEDED, Code.UNIMPLEMENTED, Code.INTERNAL, Code.UNAVAILABLE, Code.DATA_LOSS})
"""What counts against the service (OpenTelemetry semantic conventions for RPC servers); the rest is the caller's doing."""

log = structlog.get_logger()


class Telemetry:
    """Sees every outcome."""

    name: ClassVar[str] = "telemetry"

    async def __call__(self, call: Call, proceed: Next) -> Any:
        """Measure the rest of the chain."""
        started = perf_counter()
        metrics.RPC_IN_FLIGHT.inc()
        with tracing.serve(call.method.full_name, call.metadata.get("traceparent", "")) as span:
            try:
                return await proceed(call)
            except asyncio.CancelledError:
                call.code = Code.CANCELLED
                raise
            finally:
                metrics.RPC_IN_FLIGHT.dec()
                _say(call, span, perf_counter() - started)


def _say(call: Call, span: tracing.Span, seconds: float) -> None:
    code = Code(call.code).name if call.code else "OK"
    metrics.rpc_server_call(call.method.full_name, code).observe(seconds, span.exemplar)
    span.set("rpc.system.name", "grpc")
    span.set("rpc.method", call.method.full_name)
    span.set("rpc.response.status_code", code)
    span.set("kith.tenant.id", call.request.caller.tenant_id)
    span.set("kith.request.id", call.request.request_id)
    if call.code in _FAULTS:
        span.fail(code)
    slow = seconds > SLOW and not (call.method.client_streaming or call.method.server_streaming)
    if call.code in _FAULTS or slow:
        log.warning("call_ended", code=code, reason=call.reason, duration_ms=round(seconds * 1000, 1))
    else:
        log.debug("call_ended", code=code, reason=call.reason, duration_ms=round(seconds * 1000, 1))
