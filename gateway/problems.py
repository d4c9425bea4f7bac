"""Failures as RFC 9457 problem documents; nothing of the inside leaks."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Self

import orjson
from google.protobuf.message import DecodeError
from google.rpc import error_details_pb2, status_pb2
from grpc import StatusCode, aio

from chassis.errors import Reason, Violation
from gateway.invalid import Invalid

MEDIA_TYPE: Final = b"application/problem+json"
HIDDEN: Final = "Something broke on our side; the request id finds it in the logs."

Header = tuple[bytes, bytes]

STATUS: Final[Mapping[StatusCode, int]] = {
    StatusCode.OK: 200,
    StatusCode.CANCELLED: 499,
    StatusCode.UNKNOWN: 500,
    StatusCode.INVALID_ARGUMENT: 400,
    StatusCode.DEADLINE_EXCEEDED: 504,
    StatusCode.NOT_FOUND: 404,
    StatusCode.ALREADY_EXISTS: 409,
    StatusCode.PERMISSION_DENIED: 403,
    StatusCode.RESOURCE_EXHAUSTED: 429,
    StatusCode.FAILED_PRECONDITION: 400,
    StatusCode.ABORTED: 409,
    StatusCode.OUT_OF_RANGE: 400,
    StatusCode.UNIMPLEMENTED: 501,
    StatusCode.INTERNAL: 500,
    StatusCode.UNAVAILABLE: 503,
    StatusCode.DATA_LOSS: 500,
    StatusCode.UNAUTHENTICATED: 401,
}
"""HTTP status by gRPC status, as the comments of google/rpc/code.proto give it."""

_BROKEN: Final = frozenset({StatusCode.UNKNOWN, StatusCode.INTERNAL, StatusCode.DATA_LOSS})

# What is said when a status came without details: then gRPC itself wrote its text, which names addresses and internals.
_BARE: Final[Mapping[StatusCode, tuple[Reason, str]]] = {
    StatusCode.INVALID_ARGUMENT: (Reason.FIELD_INVALID, "The request is not valid."),
    StatusCode.DEADLINE_EXCEEDED: (Reason.DEADLINE_EXCEEDED, "The call took longer than it may."),
    StatusCode.NOT_FOUND: (Reason.NOT_FOUND, "There is no such record."),
    StatusCode.ALREADY_EXISTS: (Reason.TRY_AGAIN, "The record exists."),
    StatusCode.PERMISSION_DENIED: (Reason.PERMISSION_MISSING, "The call is not allowed."),
    StatusCode.RESOURCE_EXHAUSTED: (Reason.OVERLOADED, "The service has more work than it can take."),
    StatusCode.FAILED_PRECONDITION: (Reason.FIELD_INVALID, "The state of the record forbids the call."),
    StatusCode.ABORTED: (Reason.TRY_AGAIN, "The change met another one at the same time."),
    StatusCode.OUT_OF_RANGE: (Reason.FIELD_INVALID, "The request is out of range."),
    StatusCode.UNIMPLEMENTED: (Reason.METHOD_UNKNOWN, "The service does not know the call."),
    StatusCode.UNAVAILABLE: (Reason.UNAVAILABLE, "A service that is needed does not answer."),
    StatusCode.UNAUTHENTICATED: (Reason.TOKEN_INVALID, "The token is not valid."),
}

_ALWAYS_RETRY: Final = frozenset({Reason.UNAVAILABLE, Reason.OVERLOADED, Reason.IDEMPOTENCY_IN_PROGRESS})


@dataclass(eq=False)
class Problem(Exception):
    """An answer other than success."""

    status: int
    reason: str
    detail: str
    fields: Sequence[Violation] = ()
    metadata: Mapping[str, str] = field(default_factory=dict)
    retry_after: int | None = None
    headers: tuple[Header, ...] = ()

    @classmethod
    def of_value(cls, wrong: Invalid) -> Self:
        """Return the problem of a value that the contract does not allow."""
        fields = (Violation(wrong.field, wrong.description),) if wrong.field else ()
        detail = f"{wrong.field}: {wrong.description}" if wrong.field else wrong.description
        return cls(400, wrong.reason, detail, fields)

    def all_headers(self) -> list[Header]:
        """Return the headers that this problem needs beside its own."""
        found = list(self.headers)
        if self.retry_after is not None:
            found.append((b"retry-after", b"%d" % self.retry_after))
        if self.status == 401:
            found.append((b"www-authenticate", _challenge(self.reason)))
        return found


def of_call(error: aio.AioRpcError, *, if_match: bool) -> Problem:
    """Return the problem of a call that a service, or the way to it, failed."""
    code = error.code()
    details = _details(error)
    info = details.get(error_details_pb2.ErrorInfo)
    if code in _BROKEN:
        return Problem(STATUS[code], Reason.INTERNAL, HIDDEN)
    if info is None and code is StatusCode.CANCELLED:
        code = StatusCode.UNAVAILABLE  # not by us: a service that ends gives up calls that it has not begun
    if info is None:
        reason, detail = _BARE[code]
        return Problem(STATUS[code], reason, detail, retry_after=_retry_after(details, reason))
    return Problem(
        _status(code, info.reason, if_match=if_match),
        info.reason,
        error.details() or "",
        _violations(details),
        dict(info.metadata),
        _retry_after(details, info.reason),
    )


def document(problem: Problem, *, base: str, request_id: str, trace_id: str) -> bytes:
    """Return the problem document. Its type leads to the reason's paragraph in the reference page under `base`."""
    found: dict[str, Any] = {
        "type": f"{base}/docs#{problem.reason}",
        "title": problem.reason.replace("_", " ").capitalize(),
        "status": problem.status,
        "detail": problem.detail,
        "code": problem.reason,
        "request_id": request_id,
        "trace_id": trace_id,
    }
    if problem.fields:
        found["fields"] = [{name: value for name, value in each._asdict().items() if value} for each in problem.fields]
    if problem.metadata:
        found["metadata"] = problem.metadata
    return orjson.dumps(found, default=str)


def _status(code: StatusCode, reason: str, *, if_match: bool) -> int:
    """Return the HTTP status: the usual one, except where HTTP has a better word."""
    if reason == Reason.ETAG_MISMATCH:
        return 412 if if_match else 409
    if reason == Reason.IDEMPOTENCY_KEY_REUSED:
        return 422
    return 409 if reason == Reason.IDEMPOTENCY_IN_PROGRESS else STATUS[code]


def _details(error: aio.AioRpcError) -> dict[type[Any], Any]:
    """Return the details of google.rpc.Status by their type; what cannot be read is left out."""
    raw = (error.trailing_metadata() or aio.Metadata()).get("grpc-status-details-bin")
    found: dict[type[Any], Any] = {}
    try:
        packed = status_pb2.Status.FromString(raw).details if isinstance(raw, bytes) else ()
        for each in packed:
            for kind in (error_details_pb2.ErrorInfo, error_details_pb2.BadRequest, error_details_pb2.RetryInfo):
                if each.Is(kind.DESCRIPTOR):
                    found[kind] = kind.FromString(each.value)
    except DecodeError:
        return {}
    return found


def _violations(details: Mapping[type[Any], Any]) -> tuple[Violation, ...]:
    bad = details.get(error_details_pb2.BadRequest)
    return tuple(Violation(each.field, each.description, each.reason) for each in bad.field_violations) if bad else ()


def _retry_after(details: Mapping[type[Any], Any], reason: str) -> int | None:
    """Return whole seconds, rounded up: Retry-After knows no fractions (RFC 9110, section 10.2.3)."""
    info = details.get(error_details_pb2.RetryInfo)
    if info is not None:
        seconds: float = info.retry_delay.ToTimedelta().total_seconds()
        return max(1, math.ceil(seconds))
    return 1 if reason in _ALWAYS_RETRY else None


def _challenge(reason: str) -> bytes:
    """Return WWW-Authenticate: a token that was sent and refused is said to be invalid (RFC 6750, section 3)."""
    return b'Bearer realm="kith"' + (b', error="invalid_token"' if reason == Reason.TOKEN_INVALID else b"")
