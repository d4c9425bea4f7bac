"""Problem answers in the OpenAPI document: one component for each status, with the reasons that the contract lists."""

from collections.abc import Mapping
from typing import Any, Final

from gateway.contract import Contract, Method

_TEXTS: Final[Mapping[int, str]] = {
    400: "The request is wrong; the field violations say where.",
    401: "The call needs a token, or the token or credential is not valid.",
    403: "The caller may not do this.",
    404: "There is no such record, or it is not the caller's.",
    408: "The body did not come in time.",
    409: "The change met the state of the record, another change or a running call with the same key.",
    412: "The record changed since the etag in If-Match was read.",
    413: "The body is too large.",
    414: "The URL is too long.",
    415: "The body is of a type that the call does not take.",
    422: "The idempotency key was used for another request.",
    429: "Too many calls; try again after the time in Retry-After.",
    431: "The headers are too large.",
    500: "Something broke on our side; the request id finds it.",
    501: "The service behind the edge is older than the contract and does not know the call.",
    503: "A service that is needed does not answer, or has too much to do; try again after the time in Retry-After.",
    504: "The call took longer than it may.",
}
_ALWAYS: Final = (400, 401, 403, 404, 409, 414, 429, 431, 500, 501, 503, 504)
_WITH_BODY: Final = (408, 413, 415)
_RETRY: Final = (409, 429, 503)


def statuses(method: Method, *, has_body: bool, takes_etag: bool) -> list[int]:
    """Return the statuses other than 200 with which an operation may answer."""
    found = [*_ALWAYS, *(_WITH_BODY if has_body else ())]
    if takes_etag:
        found.append(412)
    if method.policy.idempotency != "UNSPECIFIED":
        found.append(422)
    return sorted(found)


def reference(status: int) -> dict[str, str]:
    """Return the reference to the component of a status."""
    return {"$ref": f"#/components/responses/Problem{status}"}


def responses() -> dict[str, Any]:
    """Return the components."""
    return {f"Problem{status}": _response(status, text) for status, text in _TEXTS.items()}


def _response(status: int, text: str) -> dict[str, Any]:
    found: dict[str, Any] = {
        "description": text,
        "headers": {"X-Request-Id": {"$ref": "#/components/headers/RequestId"}, "X-Trace-Id": {"$ref": "#/components/headers/TraceId"}},
        "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
    }
    if status in _RETRY:
        found["headers"]["Retry-After"] = {"$ref": "#/components/headers/RetryAfter"}
    if status == 401:
        found["headers"]["WWW-Authenticate"] = {"schema": {"type": "string"}, "description": "How to authenticate (RFC 6750)."}
    return found


def schema(contract: Contract) -> dict[str, Any]:
    """Return the schema of a problem document, with every reason of the contract and what it means."""
    reasons = "\n".join(f"- `{reason}`: {text}" for reason, text in sorted(contract.reasons.items()))
    text = {"type": "string"}
    violation = {
        "type": "object",
        "properties": {
            "field": text | {"description": "Path of the field, such as emails[0].address."},
            "description": text | {"description": "What is wrong with it, for people."},
            "reason": text | {"description": "Stable reason, where there is a finer one than the code."},
        },
        "required": ["field", "description"],
    }
    return {
        "type": "object",
        "description": "Why a call was not answered with success (RFC 9457).",
        "properties": {
            "type": text | {"format": "uri-reference", "description": "Where the code is explained."},
            "title": text | {"description": "The code in words."},
            "status": {"type": "integer", "description": "HTTP status."},
            "detail": text | {"description": "What happened, for people."},
            "code": text | {"description": f"Stable reason:\n{reasons}", "x-kith-reasons": dict(sorted(contract.reasons.items()))},
            "fields": {"type": "array", "items": violation, "description": "Fields that are wrong."},
            "metadata": {"type": "object", "additionalProperties": text, "description": "Facts that belong to the code."},
            "request_id": text | {"description": "Names the request in our logs."},
            "trace_id": text | {"description": "Names the request's trace."},
        },
        "required": ["type", "title", "status", "detail", "code", "request_id", "trace_id"],
    }
