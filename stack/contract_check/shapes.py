"""Standard methods look alike everywhere (AIP-131 to AIP-136, AIP-231), so that a client that knows one noun knows them all."""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from google.protobuf.descriptor_pb2 import FieldDescriptorProto

from stack.contract_check.fault import Fault
from stack.contract_check.image import Field, Image, Method
from stack.contract_check.policies import HTTP_BODY, is_write

EMPTY: Final = "google.protobuf.Empty"
FIELD_MASK: Final = "google.protobuf.FieldMask"
TIMESTAMP: Final = "google.protobuf.Timestamp"

_TEXT: Final = FieldDescriptorProto.TYPE_STRING
_INT32: Final = FieldDescriptorProto.TYPE_INT32
_BOOL: Final = FieldDescriptorProto.TYPE_BOOL


@dataclass(frozen=True, slots=True)
class Standard:
    """A method whose name says which shape it has."""

    image: Image
    method: Method
    noun: str

    @property
    def field(self) -> str:
        """The noun as a field is named."""
        return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", self.noun).lower()

    @property
    def resource(self) -> str:
        """Full name of the message of the noun."""
        return f"{self.method.package}.{self.noun}"

    @property
    def raw(self) -> str:
        """The field in which an upload carries its bytes; empty when the method is none."""
        fields = self.image.messages[self.method.input].fields.values() if self.method.client_streams else ()
        return next((field.name for field in fields if field.type_name == HTTP_BODY), "")

    def request(self, **wanted: object) -> Iterator[str]:
        """Say what the request lacks."""
        yield from self._message(self.method.input, f"{self.method.name}Request", wanted)

    def response(self, **wanted: object) -> Iterator[str]:
        """Say what the response lacks."""
        yield from self._message(self.method.output, f"{self.method.name}Response", wanted)

    def answers(self, *messages: str) -> Iterator[str]:
        """Say that the method answers with something else than it should."""
        if self.method.output not in messages:
            yield f"answers with {self.method.output} instead of {' or '.join(messages)}"

    def has_what_all_have(self) -> Iterator[str]:
        """Say what the resource lacks of the fields that the chassis fills in (AIP-148)."""
        if self.resource in self.image.messages:
            kept = {"id": _TEXT, "etag": _TEXT, "create_time": TIMESTAMP, "update_time": TIMESTAMP}
            yield from self._message(self.resource, self.noun, kept)

    def route(self, verb: str, body: str = "", ending: str = "") -> Iterator[str]:
        """Say what is unusual about the first route; internal methods have none."""
        for binding in self.method.bindings[:1]:
            if binding.verb != verb:
                yield f"is reached by {binding.verb} instead of {verb}"
            elif binding.body != body:
                yield f"has the body '{binding.body}' instead of '{body}'"
            if not binding.path.endswith(ending):
                yield f"has a path that does not end in {ending}"

    def _message(self, full_name: str, name: str, wanted: Mapping[str, object]) -> Iterator[str]:
        if full_name != f"{self.method.package}.{name}":
            yield f"uses {full_name} instead of {name}"
            return
        fields = self.image.messages[full_name].fields
        for field, kind in wanted.items():
            if field not in fields or not _is_of(fields[field], kind):
                yield f"needs the field {field} of {_spell(kind)} in {name}"


@dataclass(frozen=True, slots=True)
class Many:
    """A repeated field of the kind."""

    kind: object


def check(image: Image) -> Iterator[Fault]:
    """Report standard methods that have a shape of their own, and verbs that do not stand at the end of their path."""
    for method in image.methods:
        match = _STANDARD.match(method.name)
        said = _SHAPES[match["verb"]](Standard(image, method, match["noun"])) if match else _custom(Standard(image, method, ""))
        yield from (Fault(method.where, f"{method.name} {what}") for what in said)


def _get(it: Standard) -> Iterator[str]:
    yield from it.answers(it.resource, HTTP_BODY)
    yield from it.route("GET")
    if it.method.input != EMPTY:  # of which the caller has exactly one
        yield from it.request(id=_TEXT)


def _batch_get(it: Standard) -> Iterator[str]:
    yield from it.request(ids=Many(_TEXT))
    yield from it.response(**{it.field: Many(FieldDescriptorProto.TYPE_MESSAGE)}, missing_ids=Many(_TEXT))
    yield from it.route("GET", ending=":batchGet")


def _list(it: Standard) -> Iterator[str]:
    yield from it.request(page_size=_INT32, page_token=_TEXT)
    yield from it.response(**{it.field: Many(FieldDescriptorProto.TYPE_MESSAGE)}, next_page_token=_TEXT)
    yield from it.route("GET")


def _create(it: Standard) -> Iterator[str]:
    yield from it.answers(it.resource)
    preview = {} if it.method.access == "internal" else {"validate_only": _BOOL}
    yield from it.request(**{it.field: it.resource}, **preview)
    yield from it.route("POST", body=it.field)


def _update(it: Standard) -> Iterator[str]:
    yield from it.answers(it.resource)
    yield from it.request(**{it.field: it.resource}, update_mask=FIELD_MASK)
    yield from it.has_what_all_have()
    yield from it.route("PATCH", body=it.field, ending=f"{{{it.field}.id}}")


def _delete(it: Standard) -> Iterator[str]:
    yield from it.answers(EMPTY)
    yield from it.request(id=_TEXT, etag=_TEXT)
    yield from it.route("DELETE")


def _batch_write(it: Standard) -> Iterator[str]:
    """One result for each request, so that a row that fails does not hide the others."""
    yield from it.request(requests=Many(FieldDescriptorProto.TYPE_MESSAGE))
    yield from it.response(results=Many(f"{it.method.output}.Result"))
    if it.method.bindings:
        yield from it.route("POST", body="*", ending=f":{_verb(it.method.name, words=2)}")


def _custom(it: Standard) -> Iterator[str]:
    """Any other verb is posted, an upload with its bytes as the body; one that only reads may be got (AIP-136)."""
    for binding in it.method.bindings[:1]:
        if binding.verb == "GET" and not is_write(it.method):
            continue
        yield from it.route("POST", body=it.raw or "*")
        if ":" not in binding.path.rsplit("/", 1)[-1]:
            yield "has a path that does not end in :verb"


_SHAPES: Final[Mapping[str, Callable[[Standard], Iterator[str]]]] = {
    "Get": _get,
    "BatchGet": _batch_get,
    "List": _list,
    "Create": _create,
    "Update": _update,
    "Delete": _delete,
    "BatchCreate": _batch_write,
    "BatchUpdate": _batch_write,
    "BatchDelete": _batch_write,
}
_STANDARD: Final = re.compile(rf"(?P<verb>{'|'.join(_SHAPES)})(?P<noun>[A-Z]\w*)$")


def _is_of(field: Field, kind: object) -> bool:
    if isinstance(kind, Many):
        return field.is_repeated and _is_type(field, kind.kind)
    return not field.is_repeated and _is_type(field, kind)


def _is_type(field: Field, kind: object) -> bool:
    return field.type_name == kind if isinstance(kind, str) else field.proto.type == kind


def _spell(kind: object) -> str:
    if isinstance(kind, Many):
        return f"repeated {_spell(kind.kind)}"
    if isinstance(kind, str):
        return kind
    return next(name for name, number in FieldDescriptorProto.Type.items() if number == kind).removeprefix("TYPE_").lower()


def _verb(name: str, words: int) -> str:
    """Return the first words of a method name as a path spells them: BatchGetContacts, 2 -> batchGet."""
    spelled = "".join(re.findall(r"[A-Z][a-z0-9]*", name)[:words])
    return spelled[0].lower() + spelled[1:]
