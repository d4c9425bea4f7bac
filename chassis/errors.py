"""The tree of refusals: every failure that a caller may see, as plain values that know no transport."""

from collections.abc import Iterable, Sequence
from enum import IntEnum, StrEnum
from typing import ClassVar, NamedTuple


class Code(IntEnum):
    """Status codes as google.rpc.Code numbers them."""

    CANCELLED = 1
    UNKNOWN = 2
    INVALID_ARGUMENT = 3
    DEADLINE_EXCEEDED = 4
    NOT_FOUND = 5
    ALREADY_EXISTS = 6
    PERMISSION_DENIED = 7
    RESOURCE_EXHAUSTED = 8
    FAILED_PRECONDITION = 9
    ABORTED = 10
    OUT_OF_RANGE = 11
    UNIMPLEMENTED = 12
    INTERNAL = 13
    UNAVAILABLE = 14
    DATA_LOSS = 15
    UNAUTHENTICATED = 16


class ErrorReason(StrEnum):
    """Base of the reason enums: a member's value is its name in the contract's ErrorReason without the prefix."""

    @property
    def domain(self) -> str:
        """Return the domain of google.rpc.ErrorInfo in which the reason is unique."""
        return "kith.dev"


class Reason(ErrorReason):
    """Reasons that the platform itself gives: kith.common.v1.ErrorReason."""

    INTERNAL = "INTERNAL"
    FIELD_INVALID = "FIELD_INVALID"
    UNKNOWN_FIELD = "UNKNOWN_FIELD"
    NOT_FOUND = "NOT_FOUND"
    ETAG_MISMATCH = "ETAG_MISMATCH"
    TOKEN_MISSING = "TOKEN_MISSING"
    TOKEN_INVALID = "TOKEN_INVALID"
    PERMISSION_MISSING = "PERMISSION_MISSING"
    INTERNAL_ONLY = "INTERNAL_ONLY"
    IDEMPOTENCY_KEY_REUSED = "IDEMPOTENCY_KEY_REUSED"
    IDEMPOTENCY_IN_PROGRESS = "IDEMPOTENCY_IN_PROGRESS"
    IDEMPOTENCY_KEY_MISSING = "IDEMPOTENCY_KEY_MISSING"
    PAGE_TOKEN_INVALID = "PAGE_TOKEN_INVALID"
    PAGE_TOKEN_MISMATCH = "PAGE_TOKEN_MISMATCH"
    FILTER_INVALID = "FILTER_INVALID"
    ORDER_INVALID = "ORDER_INVALID"
    RATE_LIMITED = "RATE_LIMITED"
    OVERLOADED = "OVERLOADED"
    UNAVAILABLE = "UNAVAILABLE"
    DEADLINE_EXCEEDED = "DEADLINE_EXCEEDED"
    METHOD_UNKNOWN = "METHOD_UNKNOWN"
    BODY_INVALID = "BODY_INVALID"
    TRY_AGAIN = "TRY_AGAIN"
    ROUTE_UNKNOWN = "ROUTE_UNKNOWN"
    METHOD_NOT_ALLOWED = "METHOD_NOT_ALLOWED"
    BODY_TOO_LARGE = "BODY_TOO_LARGE"
    HEADERS_TOO_LARGE = "HEADERS_TOO_LARGE"
    MEDIA_TYPE_UNSUPPORTED = "MEDIA_TYPE_UNSUPPORTED"
    ORIGIN_REFUSED = "ORIGIN_REFUSED"
    EGRESS_REFUSED = "EGRESS_REFUSED"
    EGRESS_FAILED = "EGRESS_FAILED"


class Violation(NamedTuple):
    """One wrong field: its dotted path as the caller wrote it, what is wrong with it, and a stable reason if there is one."""

    field: str
    description: str
    reason: str = ""


class Refusal(Exception):
    """A call that is answered with a status other than OK. The text is for people and must hold no secret and no personal data."""

    code: ClassVar[Code] = Code.INTERNAL

    def __init__(
        self,
        reason: ErrorReason,
        message: str,
        *,
        fields: Sequence[Violation] = (),
        retry_after: float | None = None,
        **metadata: str,
    ) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message
        self.fields = tuple(fields)
        self.retry_after = retry_after
        self.metadata = metadata


class InvalidArgument(Refusal):
    """The request is wrong whatever the state of the system."""

    code = Code.INVALID_ARGUMENT


class NotFound(Refusal):
    """There is no such thing, or the caller may not know that there is."""

    code = Code.NOT_FOUND


class AlreadyExists(Refusal):
    """The thing to be created is there already."""

    code = Code.ALREADY_EXISTS


class FailedPrecondition(Refusal):
    """The state of the system forbids the call; repeating it does not help until the state changes."""

    code = Code.FAILED_PRECONDITION


class Aborted(Refusal):
    """The call met a concurrent change; read again and repeat."""

    code = Code.ABORTED


class Unauthenticated(Refusal):
    """The caller did not say convincingly who they are."""

    code = Code.UNAUTHENTICATED


class PermissionDenied(Refusal):
    """The caller is known and may not do this."""

    code = Code.PERMISSION_DENIED


class ResourceExhausted(Refusal):
    """The caller used up what it may use."""

    code = Code.RESOURCE_EXHAUSTED


class Unavailable(Refusal):
    """The service cannot answer now; repeating the call later helps."""

    code = Code.UNAVAILABLE


class DeadlineExceeded(Refusal):
    """The call took longer than it may."""

    code = Code.DEADLINE_EXCEEDED


class Unimplemented(Refusal):
    """There is no such call."""

    code = Code.UNIMPLEMENTED


class Internal(Refusal):
    """Something broke on our side."""

    code = Code.INTERNAL


BY_CODE: dict[Code, type[Refusal]] = {kind.code: kind for kind in Refusal.__subclasses__()}


def raise_for(violations: Iterable[Violation]) -> None:
    """Raise FIELD_INVALID with every violation at once; do nothing when there is none."""
    found = list(violations)
    if found:
        raise InvalidArgument(Reason.FIELD_INVALID, f"{found[0].field}: {found[0].description}", fields=found)


def invalid(reason: ErrorReason, field: str, description: str) -> InvalidArgument:
    """Return the refusal of one field for a reason of its own, which stands beside the field too."""
    return InvalidArgument(reason, f"{field}: {description}", fields=[Violation(field, description, reason)])
