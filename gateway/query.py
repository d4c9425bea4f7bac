"""Query strings: each key is a field path of the request message, each value its JSON text."""

from collections.abc import Iterable, Iterator
from typing import Any, Final, NamedTuple

from google.protobuf.descriptor import Descriptor, FieldDescriptor

from chassis.errors import Reason
from chassis.json import kinds
from gateway import scalars, wellknown
from gateway.decode import Tree
from gateway.invalid import Invalid
from gateway.scalars import Decoder
from gateway.templates import unescape

MAX_KEYS: Final = 1024
"""Most keys that a binding remembers; a message that holds itself has more paths than memory has room."""
MAX_DEPTH: Final = 32

Path = tuple[str, ...]


class _Parameter(NamedTuple):
    path: Path
    decode: Decoder
    repeated: bool
    rivals: tuple[tuple[str, ...], ...]


class QueryDecoder:
    """Fills a tree from a query string. Fields that path or body bind are not taken from the query."""

    def __init__(self, descriptor: Descriptor, bound: Iterable[Path]) -> None:
        self._descriptor = descriptor
        self._bound = frozenset(bound)
        self._known: dict[str, _Parameter] = {}

    def fill(self, tree: Tree, query: str) -> None:
        """Add every parameter of the query."""
        for key, text in pairs(query):
            parameter = self._known.get(key) or self._learn(key)
            try:
                value = parameter.decode(text)
            except Invalid as wrong:
                raise Invalid(wrong.description, field=key) from None
            _put(tree, parameter, value, key)

    def _learn(self, key: str) -> _Parameter:
        parameter = self._resolve(key)
        if len(self._known) < MAX_KEYS:
            self._known[key] = parameter
        return parameter

    def _resolve(self, key: str) -> _Parameter:
        *parents, last = self._fields(key)
        path = tuple(field.name for field in (*parents, last))
        if any(path[: len(bound)] == bound or bound[: len(path)] == path for bound in self._bound):
            raise Invalid("is set by the path or the body", field=key)
        for field in parents:
            if field.message_type is None or field.is_repeated or kinds.is_one_value(field.message_type):
                raise Invalid("goes through a field that holds no fields", field=key)
        return _Parameter(path, _decoder(last, key), last.is_repeated, tuple(rivals(field) for field in (*parents, last)))

    def _fields(self, key: str) -> list[FieldDescriptor]:
        found: list[FieldDescriptor] = []
        descriptor: Descriptor | None = self._descriptor
        for name in key.split(".", MAX_DEPTH):
            field = _field(descriptor, name) if descriptor else None
            if field is None:
                raise Invalid("there is no such field", field=key, reason=Reason.UNKNOWN_FIELD)
            found.append(field)
            descriptor = field.message_type
        return found


def pairs(query: str) -> Iterator[tuple[str, str]]:
    """Yield keys and values, decoded; `+` is a space here, and only here."""
    for part in query.split("&"):
        if part:
            key, _, value = part.partition("=")
            yield unescape(key.replace("+", " ")), unescape(value.replace("+", " "))


def _field(descriptor: Descriptor, name: str) -> FieldDescriptor | None:
    return next((field for field in descriptor.fields if name in {field.name, field.json_name}), None)


def _decoder(field: FieldDescriptor, key: str) -> Decoder:
    if field.message_type is None:
        return scalars.text_decoder(field)
    decode = wellknown.text_decoder(field.message_type)
    if decode is None or kinds.map_entry(field) is not None:
        raise Invalid("holds more than one value; name a field of it, or use the body", field=key)
    return decode


def rivals(field: FieldDescriptor) -> tuple[str, ...]:
    """Return the other members of the field's oneof."""
    oneof = field.containing_oneof
    return tuple(each.name for each in oneof.fields if each.name != field.name) if oneof else ()


def _put(tree: Tree, parameter: _Parameter, value: Any, key: str) -> None:
    container = tree
    *parents, last = parameter.path
    for name, others in zip(parents, parameter.rivals, strict=False):
        refuse_rivals(container, others, key)
        container = container.setdefault(name, {})
    refuse_rivals(container, parameter.rivals[-1], key)
    if parameter.repeated:
        container.setdefault(last, []).append(value)
    elif last in container:
        raise Invalid("is given twice", field=key)
    else:
        container[last] = value


def refuse_rivals(container: Tree, others: tuple[str, ...], key: str) -> None:
    """Refuse a second member of a oneof."""
    for rival in others:
        if container.get(rival) is not None:
            raise Invalid(f"excludes {rival}", field=key)
