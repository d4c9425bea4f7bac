"""Requests for every RPC of the contract with somebody else's ids in them, generated from its messages."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from stack.contract_check.image import Field, Image, Method

_VARIABLE: Final = re.compile(r"\{([^={}]+)[^{}]*\}")

Json = dict[str, Any]


@dataclass(frozen=True)
class Probe:
    """One request: an RPC, and the HTTP call that reaches it."""

    method: Method
    verb: str
    path: str
    query: Mapping[str, Any]
    body: Json | None


def reachable(image: Image) -> list[Method]:
    """Return the RPCs that a signed-in caller reaches at the edge with one message; an upload is no message and names no record."""
    asked = (method for method in image.methods if method.bindings and method.access in {"permission", "signed_in"})
    return [method for method in asked if not method.client_streams]


def probe(image: Image, method: Method, foreign: str, samples: Mapping[str, Json]) -> Probe:
    """Fill every id of a request with `foreign`, and every resource with the sample of its kind (by message name)."""
    message = dict(_filled(image, method.input, foreign, samples))
    binding = method.bindings[0]
    taken = image.resolve(method.input, binding.body)
    assert taken is None or _json(taken.name) in message, f"{method.name} takes a {taken.type_name}, of which SAMPLES has none"
    path = _VARIABLE.sub(lambda variable: _take(message, variable[1].split(".")), binding.path)
    if binding.body == "*":
        return Probe(method, binding.verb, path, {}, message)
    if binding.body:
        return Probe(method, binding.verb, path, {}, message[_json(binding.body)])
    return Probe(method, binding.verb, path, message, None)


def names_ids(image: Image, method: Method) -> bool:
    """Tell whether a request can name somebody's record at all."""
    return any(_is_id(field) for field in image.reachable(method.input))


def _filled(image: Image, name: str, foreign: str, samples: Mapping[str, Json]) -> Iterator[tuple[str, Any]]:
    fields = image.messages[name].fields.values() if name in image.messages else ()
    for field in fields:
        if _is_id(field):
            yield _json(field.name), [foreign] if field.is_repeated else foreign
        elif field.type_name in samples:
            refs = {_json(inner.name): foreign for inner in image.messages[field.type_name].fields.values() if _is_id(inner)}
            yield _json(field.name), {**samples[field.type_name], **refs}
        elif field.type_name in image.messages and field.is_repeated:
            yield _json(field.name), [dict(_filled(image, field.type_name, foreign, samples))]


def _is_id(field: Field) -> bool:
    return field.is_text and (field.name in {"id", "ids"} or field.name.endswith(("_id", "_ids")))


def _take(message: Json, path: list[str]) -> str:
    """Take a value out of the message, since it travels in the path."""
    *parents, last = map(_json, path)
    for parent in parents:
        message = message[parent]
    return str(message.pop(last))


def _json(name: str) -> str:
    return re.sub(r"_([a-z0-9])", lambda match: match[1].upper(), name)
