"""Routes: no two of one shape, no body where HTTP has none, and every name in them is a field of the request."""

import re
from collections.abc import Iterator
from typing import Final

from google.protobuf.descriptor_pb2 import FieldDescriptorProto

from stack.contract_check.fault import Fault
from stack.contract_check.image import Binding, Field, Image, Method

# `{name}` or `{name=pattern}`; variables do not nest (google.api.http).
_VARIABLE: Final = re.compile(r"\{(?P<name>[^={}]*)(?:=(?P<pattern>[^{}]*))?\}")
_BODILESS: Final = ("GET", "DELETE", "HEAD")


def check(image: Image) -> Iterator[Fault]:
    """Report routes that clash, and bindings that do not fit their request."""
    taken: dict[tuple[str, str], str] = {}
    for method in image.methods:
        for binding in method.bindings:
            yield from _check_binding(image, method, binding)
            key = (binding.verb, shape(binding.path))
            if key in taken:
                yield Fault(method.where, f"{binding} of {method.name} has the shape of a route of {taken[key]}")
            taken[key] = method.full_name
        yield from _check_version(method)


def shape(path: str) -> str:
    """Return the template with its variables' names left out: what a request line can tell apart."""
    return _VARIABLE.sub(lambda match: match["pattern"] or "*", path)


def _check_binding(image: Image, method: Method, binding: Binding) -> Iterator[Fault]:
    if binding.verb in _BODILESS and binding.body:
        yield Fault(method.where, f"{binding} of {method.name}: {binding.verb} takes no body")
    if binding.body not in {"", "*"} and image.resolve(method.input, binding.body) is None:
        yield Fault(method.where, f"{binding} of {method.name}: {method.input} has no field {binding.body}")
    names = [match["name"].strip() for match in _VARIABLE.finditer(binding.path)]
    for name in names:
        if not _is_scalar(image.resolve(method.input, name)):
            yield Fault(method.where, f"{binding} of {method.name}: {name} is no single plain value in {method.input}")
    if len(set(names)) < len(names):
        yield Fault(method.where, f"{binding} of {method.name} names a variable twice")


def _is_scalar(field: Field | None) -> bool:
    return field is not None and not field.is_repeated and field.proto.type != FieldDescriptorProto.TYPE_MESSAGE


def _check_version(method: Method) -> Iterator[Fault]:
    """Report a first route outside the version of its package; additional ones may stand where other standards want them."""
    version = method.package.rsplit(".", 1)[-1]
    if method.bindings and not method.bindings[0].path.startswith(f"/{version}/"):
        yield Fault(method.where, f"{method.bindings[0]} of {method.name} does not start with /{version}/")
