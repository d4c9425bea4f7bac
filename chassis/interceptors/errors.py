"""Errors: whatever is raised becomes a google.rpc.Status; nothing internal ever reaches a client."""

import asyncio
import math
import traceback
from typing import Any, ClassVar

import structlog
from google.protobuf.any_pb2 import Any as Packed
from google.protobuf.duration_pb2 import Duration
from google.rpc import error_details_pb2, status_pb2
from grpc import aio
from grpc_status import rpc_status

from chassis.database import failures
from chassis.errors import Internal, Reason, Refusal
from chassis.interceptors.chain import Call, Next

log = structlog.get_logger()


class Errors:
    """Answers every failure with exactly one ErrorInfo, and BadRequest and RetryInfo where they help."""

    name: ClassVar[str] = "errors"

    async def __call__(self, call: Call, proceed: Next) -> Any:
        """Return the answer of the rest, or abort the call with the status of what it raised."""
        try:
            return await proceed(call)
        except aio.AbortError:
            raise
        except asyncio.CancelledError:
            call.code = 1
            raise
        except Exception as failure:  # noqa: BLE001 - this is the one place where any failure ends
            refusal = _refusal(failure, call)
        call.code, call.reason = refusal.code, refusal.reason
        await call.context.abort_with_status(rpc_status.to_status(status(refusal)))
        raise AssertionError("abort raises")


def _refusal(failure: Exception, call: Call) -> Refusal:
    if isinstance(failure, Refusal):
        return failure
    known = failures.refusal(failure)
    if known is not None:
        log.warning("database_failed", error=type(failure).__name__, rpc_method=call.method.full_name, reason=str(known.reason))
        return known
    log.error("call_failed", error=type(failure).__name__, rpc_method=call.method.full_name, where=where(failure))
    return Internal(Reason.INTERNAL, "something broke on our side; the request id finds it in the logs")


def where(failure: BaseException) -> list[str]:
    """Return the places that an exception went through. Its text is left out: it may hold anything."""
    return [f"{frame.filename.rpartition('/')[2]}:{frame.lineno} {frame.name}" for frame in traceback.extract_tb(failure.__traceback__)]


def status(refusal: Refusal) -> status_pb2.Status:
    """Return a refusal as google.rpc.Status."""
    answer = status_pb2.Status(code=refusal.code, message=refusal.message)
    info = error_details_pb2.ErrorInfo(reason=refusal.reason.value, domain=refusal.reason.domain, metadata=refusal.metadata)
    answer.details.append(_packed(info))
    if refusal.fields:
        answer.details.append(_packed(_bad_request(refusal)))
    if refusal.retry_after is not None:
        delay = Duration(seconds=int(refusal.retry_after), nanos=int(math.modf(refusal.retry_after)[0] * 1e9))
        answer.details.append(_packed(error_details_pb2.RetryInfo(retry_delay=delay)))
    return answer


def _bad_request(refusal: Refusal) -> error_details_pb2.BadRequest:
    violations = [
        error_details_pb2.BadRequest.FieldViolation(field=each.field, description=each.description, reason=each.reason)
        for each in refusal.fields
    ]
    return error_details_pb2.BadRequest(field_violations=violations)


def _packed(detail: Any) -> Packed:
    packed = Packed()
    packed.Pack(detail)
    return packed
