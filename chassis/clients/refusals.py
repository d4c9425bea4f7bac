"""What another service refused, as the refusal that it raised itself."""

from functools import cache
from typing import Any, Final

from google.protobuf.message import DecodeError
from google.rpc import error_details_pb2, status_pb2
from grpc import aio

from chassis.errors import BY_CODE, Code, ErrorReason, Internal, Reason, Refusal, Violation

_DETAILS: Final = "grpc-status-details-bin"
_PLAIN: Final = {
    Code.UNAVAILABLE: Reason.UNAVAILABLE,
    Code.DEADLINE_EXCEEDED: Reason.DEADLINE_EXCEEDED,
    Code.RESOURCE_EXHAUSTED: Reason.OVERLOADED,
    Code.UNIMPLEMENTED: Reason.METHOD_UNKNOWN,
}
"""Reasons of refusals that gRPC itself makes, without details."""


def refusal(error: aio.AioRpcError, target: str) -> Refusal:
    """Return the refusal that a failed call ended with. One that has no reason of ours names the target and nothing else."""
    code = Code(error.code().value[0])
    status = _status(error)
    info = _detail(status, error_details_pb2.ErrorInfo)
    if info is None and code is Code.CANCELLED:
        code = Code.UNAVAILABLE  # not by us: a service that ends gives up calls that it has not begun
    kind = BY_CODE.get(code, Internal)
    if info is None:
        return kind(_PLAIN.get(code, Reason.INTERNAL), f"{target} does not answer as it should")
    request = _detail(status, error_details_pb2.BadRequest)
    fields = [Violation(each.field, each.description, each.reason) for each in request.field_violations] if request else []
    retry = _detail(status, error_details_pb2.RetryInfo)
    retry_after = retry.retry_delay.ToTimedelta().total_seconds() if retry else None
    return kind(reason(info.domain, info.reason), status.message, fields=fields, retry_after=retry_after, **dict(info.metadata))


def reason(domain: str, name: str) -> ErrorReason:
    """Return a reason of any service's."""
    if domain == Reason.INTERNAL.domain and name in Reason.__members__:
        return Reason(name)
    return _foreign(domain, name)


@cache
def _foreign(domain: str, name: str) -> ErrorReason:
    """Make the reason of a service whose code is not in this process."""
    kind: Any = ErrorReason(domain, {name: name})  # type: ignore[call-arg]
    kind.domain = property(lambda _: domain)
    member: ErrorReason = kind[name]
    return member


def _status(error: aio.AioRpcError) -> status_pb2.Status:
    """Return the details that came in the trailing metadata, empty if there are none that can be read."""
    for key, value in error.trailing_metadata() or ():
        if key == _DETAILS and isinstance(value, bytes):
            try:
                return status_pb2.Status.FromString(value)
            except DecodeError:
                break
    return status_pb2.Status()


def _detail(status: status_pb2.Status, kind: Any) -> Any:
    for packed in status.details:
        if packed.Is(kind.DESCRIPTOR):
            unpacked = kind()
            packed.Unpack(unpacked)
            return unpacked
    return None
