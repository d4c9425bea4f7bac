"""What a call takes, for the OpenAPI document: path, query, headers, cookie and body of one binding."""

from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from google.protobuf.descriptor import Descriptor, FieldDescriptor

from chassis.json import kinds
from gateway import wellknown
from gateway.bindings import WHOLE
from gateway.contract import Binding, Contract, Method
from gateway.schemas import Schemas
from gateway.templates import parse

Path = tuple[str, ...]
Parameter = dict[str, Any]

MAX_NESTING: Final = 3
"""Levels of nested messages that are shown as query parameters; deeper ones can be sent all the same."""


class Given(NamedTuple):
    """Parameters and body of a call."""

    parameters: list[Parameter]
    body: dict[str, Any] | None
    takes_etag: bool


def body_and_parameters(contract: Contract, schemas: Schemas, method: Method, binding: Binding, renamed: dict[Path, str]) -> Given:
    """Return what a binding takes; `renamed` holds the path parameters' names by the fields they fill."""
    body = _body(contract, schemas, method, binding)
    takes_etag = _takes_etag(method, binding)
    found = [_path_parameter(schemas, method, path, name) for path, name in renamed.items()]
    if binding.body != WHOLE:
        found.extend(_query(contract, schemas, method.input, bound={*renamed, (binding.body,)}))
    found.extend(_headers(method, takes_etag=takes_etag))
    found.extend(_cookies(contract, method))
    return Given(found, body, takes_etag)


def _path_parameter(schemas: Schemas, method: Method, path: Path, name: str) -> Parameter:
    return _parameter(name, "path", schemas.field(_field(method.input, path))) | {"required": True}


def _parameter(name: str, place: str, schema: dict[str, Any]) -> Parameter:
    shape = {key: value for key, value in schema.items() if key not in {"description", "readOnly", "writeOnly"}}
    found: Parameter = {"name": name, "in": place, "schema": shape}
    if "description" in schema:
        found["description"] = schema["description"]
    return found


def _field(descriptor: Descriptor, path: Path) -> FieldDescriptor:
    *parents, last = path
    for name in parents:
        inner = descriptor.fields_by_name[name].message_type
        if inner is None:
            raise KeyError(path)
        descriptor = inner
    return descriptor.fields_by_name[last]


def _query(
    contract: Contract, schemas: Schemas, descriptor: Descriptor, *, bound: set[Path], prefix: Path = (), shown: Path = ()
) -> Iterator[Parameter]:
    """Yield the fields that a query can carry; `prefix` and `shown` are the path to the message in the contract's names and in JSON's."""
    for field in descriptor.fields:
        path, name = (*prefix, field.name), (*shown, field.json_name)
        if path in bound or kinds.map_entry(field) is not None:
            continue
        kind = field.message_type
        if kind is None or wellknown.text_decoder(kind) is not None:
            required = {"required": True} if not prefix and "REQUIRED" in contract.behaviors(field) else {}
            yield _parameter(".".join(name), "query", schemas.field(field)) | required
        elif not field.is_repeated and not kinds.is_one_value(kind) and len(prefix) < MAX_NESTING:
            yield from _query(contract, schemas, kind, bound=bound, prefix=path, shown=name)


def _headers(method: Method, *, takes_etag: bool) -> Iterator[Parameter]:
    text = {"type": "string"}
    if method.policy.idempotency != "UNSPECIFIED":
        key = text | {"minLength": 1, "maxLength": 255, "pattern": "^[\\x21-\\x7e]+$"}
        says = "A key of the client's choice: a repeated call with the same key and body has its effect once and gets the first answer."
        yield _parameter("Idempotency-Key", "header", key | {"description": says}) | {"required": method.policy.idempotency == "REQUIRED"}
    if takes_etag:
        says = "The etag as it was read; the call is refused if the record changed since."
        yield _parameter("If-Match", "header", text | {"description": says})


def _cookies(contract: Contract, method: Method) -> Iterator[Parameter]:
    cookies = [cookie for cookie in map(contract.cookie, method.input.fields) if cookie]
    for cookie in cookies:
        says = "Read in the place of the body's field when a page of this origin calls with `X-CSRF: 1`."
        yield _parameter(cookie.name, "cookie", {"type": "string", "description": says})
    if cookies or any(map(contract.cookie, method.output.fields)) or method.policy.clears_cookie:
        says = "`1` from a page of this origin: secrets are taken from cookies and kept in them, out of reach of scripts."
        yield _parameter("X-CSRF", "header", {"type": "string", "enum": ["1"], "description": says})


def _body(contract: Contract, schemas: Schemas, method: Method, binding: Binding) -> dict[str, Any] | None:
    if not binding.body:
        return None
    bound = {variable.path for variable in parse(binding.template).variables}
    field = None if binding.body == WHOLE else method.input.fields_by_name[binding.body]
    shown = method.input if field is None else field.message_type
    if shown is not None and shown.full_name == kinds.HTTP_BODY:
        return {"required": True, "content": {"*/*": {"schema": {}}}}
    if field is None:
        schema = schemas.object(method.input, without=frozenset(path[0] for path in bound if len(path) == 1))
        required = "required" in schema
    else:
        schema = schemas.field(field)
        required = "REQUIRED" in contract.behaviors(field)
    return {"required": required, "content": {"application/json": {"schema": schema}}}


def _takes_etag(method: Method, binding: Binding) -> bool:
    if "etag" in method.input.fields_by_name:
        return True
    body = method.input.fields_by_name.get(binding.body)
    return body is not None and body.message_type is not None and "etag" in body.message_type.fields_by_name
