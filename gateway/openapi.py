"""The OpenAPI 3.1 document, written by the contract's descriptors and comments."""

from collections.abc import Iterator
from typing import Any, Final

from google.protobuf.descriptor import Descriptor

from chassis.json import kinds
from gateway import problem_schemas
from gateway.contract import Binding, Contract, Method
from gateway.parameters import Path, body_and_parameters
from gateway.schemas import Schemas
from gateway.templates import parse

VERSION: Final = "1.0.0"

_INTRODUCTION: Final = (
    "The API of Kith, an open customer platform. Everything here is made from the contract that the services themselves are built on: "
    "field names, rules, permissions and rate tiers are what the running platform holds calls against.\n\n"
    "Times are RFC 3339, 64-bit integers are strings, enums are names. Unknown fields and parameters are refused. "
    "Every answer names its request in `X-Request-Id` and its trace in `X-Trace-Id`."
)
_HEADERS: Final = {
    "RequestId": ("string", "Names the request in our logs; the client's own X-Request-Id if it sent one."),
    "TraceId": ("string", "Names the request's trace."),
    "RateLimit": ("string", "What is left of the limits."),
    "RateLimitPolicy": ("string", "The limits that hold for the call."),
    "RetryAfter": ("integer", "Seconds after which to try again."),
    "ETag": ("string", "Version of the record, for If-Match."),
    "IdempotencyReplayed": ("string", "`true` when the answer is the first one's, kept under the idempotency key."),
}


def document(contract: Contract, public_url: str) -> dict[str, Any]:
    """Return the document of a contract that is served at a URL."""
    schemas = Schemas(contract)
    paths: dict[str, dict[str, Any]] = {}
    names: dict[str, str] = {}
    for method, binding, number in _bindings(contract):
        path, renamed = _path(binding, names)
        paths.setdefault(path, {})[binding.http_method.lower()] = _operation(contract, schemas, method, binding, renamed, number)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Kith",
            "version": VERSION,
            "summary": "An open customer platform",
            "description": _INTRODUCTION,
            "contact": {"name": "Kith", "url": public_url},
        },
        "servers": [{"url": public_url.rstrip("/"), "description": "This installation"}],
        "tags": [_tag(contract, service) for service in dict.fromkeys(method.service for method in contract.methods)],
        "paths": paths,
        "components": {
            "schemas": {**dict(sorted(schemas.components.items())), "Problem": problem_schemas.schema(contract)},
            "responses": problem_schemas.responses(),
            "headers": {name: {"schema": {"type": kind}, "description": text} for name, (kind, text) in _HEADERS.items()},
            "securitySchemes": _security_schemes(),
        },
    }


def _bindings(contract: Contract) -> Iterator[tuple[Method, Binding, int]]:
    """Yield what OpenAPI has a word for: every binding but those of other HTTP methods than its own eight."""
    known = {"GET", "PUT", "POST", "DELETE", "OPTIONS", "HEAD", "PATCH", "TRACE"}
    for method in contract.methods:
        for number, binding in enumerate(method.bindings):
            if binding.http_method in known:
                yield method, binding, number


def _tag(contract: Contract, service: str) -> dict[str, str]:
    return {"name": _short(service), "description": contract.comments.get(service, _short(service))}


def _short(service: str) -> str:
    return service.rpartition(".")[2].removesuffix("Service")


def _path(binding: Binding, names: dict[str, str]) -> tuple[str, dict[Path, str]]:
    """Return the path as OpenAPI writes it, and the parameter name of each variable.

    Two templates of one shape are one path there, whatever their variables are called: the first one's names stand.
    """
    template = parse(binding.template)
    parts = list(template.segments)
    last_names = [variable.path[-1] for variable in template.variables]
    renamed: dict[Path, str] = {}
    for variable, last in zip(template.variables, last_names, strict=True):
        renamed[variable.path] = last if last_names.count(last) == 1 else "_".join(variable.path)
        span = range(len(parts))[slice(variable.start, variable.stop)]
        parts[span.start : span.stop] = [f"{{{renamed[variable.path]}}}", *[""] * (len(span) - 1)]
    verb = f":{template.verb}" if template.verb else ""
    shown = [part for part in parts if part]
    shape = "/".join("{}" if part.startswith("{") else part for part in shown)
    return _same_shape(names, shape + verb, f"/{'/'.join(shown)}{verb}", renamed)


def _same_shape(names: dict[str, str], shape: str, text: str, renamed: dict[Path, str]) -> tuple[str, dict[Path, str]]:
    first = names.setdefault(shape, text)
    if first == text:
        return text, renamed
    known = [part[1:].partition("}")[0] for part in first.split("/") if part.startswith("{")]
    return first, dict(zip(renamed, known, strict=True))


def _operation(
    contract: Contract, schemas: Schemas, method: Method, binding: Binding, renamed: dict[Path, str], number: int
) -> dict[str, Any]:
    given = body_and_parameters(contract, schemas, method, binding, renamed)
    comment = contract.comments.get(method.full_name, method.name)
    found: dict[str, Any] = {
        "operationId": f"{_short(method.service)}_{method.name}" + (f"_{number + 1}" if number else ""),
        "tags": [_short(method.service)],
        "summary": _words(method.name),
        "description": f"{comment}\n\n{_access(method)}",
        "x-kith-rpc": method.path,
        "x-kith-rate-tier": method.policy.tier,
        "security": [] if method.policy.access == "public" else [{"accessToken": []}],
    }
    if method.policy.permission:
        found["x-kith-permission"] = method.policy.permission
    if given.parameters:
        found["parameters"] = given.parameters
    if given.body:
        found["requestBody"] = given.body
    found["responses"] = {"200": _success(schemas, method, binding)} | {
        str(status): problem_schemas.reference(status)
        for status in problem_schemas.statuses(method, has_body=given.body is not None, takes_etag=given.takes_etag)
    }
    return found


def _words(name: str) -> str:
    """Return `Batch get contacts` for BatchGetContacts."""
    return "".join(f" {letter.lower()}" if letter.isupper() else letter for letter in name).strip().capitalize()


def _access(method: Method) -> str:
    policy = method.policy
    who = {
        "permission": f"Needs the permission `{policy.permission}`.",
        "signed_in": "Needs a signed-in caller.",
        "public": "Anybody may call.",
    }[policy.access]
    return f"{who} Rate tier: `{policy.tier}`."


def _success(schemas: Schemas, method: Method, binding: Binding) -> dict[str, Any]:
    headers = {
        "X-Request-Id": "RequestId",
        "X-Trace-Id": "TraceId",
        "RateLimit": "RateLimit",
        "RateLimit-Policy": "RateLimitPolicy",
    }
    if "etag" in method.output.fields_by_name:
        headers["ETag"] = "ETag"
    if method.policy.idempotency != "UNSPECIFIED":
        headers["Idempotency-Replayed"] = "IdempotencyReplayed"
    return {
        "description": "Success.",
        "headers": {name: {"$ref": f"#/components/headers/{component}"} for name, component in headers.items()},
        "content": _content(schemas, method, binding),
    }


def _content(schemas: Schemas, method: Method, binding: Binding) -> dict[str, Any]:
    part = method.output.fields_by_name[binding.response_body] if binding.response_body else None
    if _is_raw(part.message_type if part is not None else method.output):
        return {"*/*": {"schema": {}}}
    schema = schemas.field(part) if part is not None else schemas.message(method.output)
    if not method.server_streaming:
        return {"application/json": {"schema": schema}}
    return {"text/event-stream": {"schema": {"type": "string"}}, "application/jsonl": {"schema": schema}}


def _is_raw(shown: Descriptor | None) -> bool:
    return shown is not None and shown.full_name == kinds.HTTP_BODY


def _security_schemes() -> dict[str, Any]:
    return {
        "accessToken": {
            "type": "http",
            "scheme": "bearer",
            "bearerFormat": "JWT",
            "description": "The access token of a session.",
        }
    }
