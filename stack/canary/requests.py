"""Requests for every RPC of the contract with somebody else's ids in them, generated from its messages."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from stack.contract_check.image import Field, Image, Method
from stack.contract_check.policies import is_write

LARGEST_PAGE: Final = 200
_VARIABLE: Final = re.compile(r"\{([^={}]+)[^{}]*\}")

Json = dict[str, Any]


@dataclass(frozen=True)
class Probe:
    """One request: an RPC, and the HTTP call that reaches it."""

    method: Method
    verb: str
    path: str
    query: Mapping[str, Any] = field(default_factory=dict)
    body: Json | None = None

    @property
    def text(self) -> str:
        """Return all that is said in it."""
        return f"{self.path} {self.query} {self.body}"


def reachable(image: Image) -> list[Method]:
    """Return the RPCs that a signed-in caller reaches at the edge with one message; an upload is no message and names no record."""
    asked = (method for method in image.methods if method.bindings and method.access in {"permission", "signed_in"})
    return [method for method in asked if not method.client_streams]


def rpc(method: Method) -> str:
    """Return "kith.crm.v1.ContactService/GetContact", the form that metrics use."""
    return "/".join(method.full_name.rsplit(".", 1))


def reads(image: Image) -> list[Method]:
    """Return those that only look."""
    return [method for method in reachable(image) if not is_write(method) or method.bindings[0].verb == "GET"]


def creates(image: Image, kind: str) -> Method:
    """Return the RPC by which a caller makes a record of this message."""
    return next(method for method in reachable(image) if method.name.startswith("Create") and method.output == kind)


def is_live(method: Method) -> bool:
    """Tell whether the answer goes on for as long as somebody reads it; a file that comes in pieces ends."""
    return method.server_streams and method.output != "google.api.HttpBody"


def probe(image: Image, method: Method, foreign: str, samples: Mapping[str, Json]) -> Probe:
    """Fill every id of a request with `foreign`, and every resource with the sample of its kind (by message name)."""
    message = dict(_filled(image, method.input, foreign, samples))
    binding = method.bindings[0]
    taken = image.resolve(method.input, binding.body)
    if taken is not None and _json(taken.name) not in message:
        raise LookupError(f"{method.name} takes a {taken.type_name}, of which there is no sample")
    path = _VARIABLE.sub(lambda variable: _take(message, variable[1].split(".")), binding.path)
    if binding.body == "*":
        return Probe(method, binding.verb, path, body=message)
    if binding.body:
        return Probe(method, binding.verb, path, body=message[_json(binding.body)])
    return Probe(method, binding.verb, path, query=message)


def sweep(image: Image, method: Method, word: str) -> Probe | None:
    """Return a request that names no record and asks for all there is, by a word where it searches; None if its path names one."""
    binding = method.bindings[0]
    if _VARIABLE.search(binding.path):
        return None
    widest = {"query": word, "page_size": LARGEST_PAGE, "show_deleted": "true"}
    fields = image.messages[method.input].fields if method.input in image.messages else {}
    asked = {_json(name): value for name, value in widest.items() if name in fields}
    return Probe(method, binding.verb, binding.path, **({"body": asked} if binding.body else {"query": asked}))


def names_ids(image: Image, method: Method) -> bool:
    """Tell whether a request can name somebody's record at all."""
    return any(_is_id(each) for each in image.reachable(method.input))


def _filled(image: Image, name: str, foreign: str, samples: Mapping[str, Json]) -> Iterator[tuple[str, Any]]:
    fields = image.messages[name].fields.values() if name in image.messages else ()
    for each in fields:
        if _is_id(each):
            yield _json(each.name), [foreign] if each.is_repeated else foreign
        elif each.type_name in samples:
            refs = {_json(inner.name): foreign for inner in image.messages[each.type_name].fields.values() if _is_id(inner)}
            yield _json(each.name), {**samples[each.type_name], **refs}
        elif each.type_name in image.messages and each.is_repeated:
            yield _json(each.name), [dict(_filled(image, each.type_name, foreign, samples))]


def _is_id(given: Field) -> bool:
    return given.is_text and (given.name in {"id", "ids"} or given.name.endswith(("_id", "_ids")))


def _take(message: Json, path: list[str]) -> str:
    """Take a value out of the message, since it travels in the path."""
    *parents, last = map(_json, path)
    for parent in parents:
        message = message[parent]
    return str(message.pop(last))


def _json(name: str) -> str:
    return re.sub(r"_([a-z0-9])", lambda match: match[1].upper(), name)
