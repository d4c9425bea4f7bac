"""Trees that jsonb columns hold, under the contract's names and without what is not set, as the JSON of answers."""

from collections.abc import Callable
from typing import Any, Final

from google.protobuf import message_factory
from google.protobuf.descriptor import Descriptor, FieldDescriptor

from chassis.json import kinds, scalars
from chassis.json.encoders import GENERATED, Json

Convert = Callable[[Any], Any]

_SAME: Final = scalars.THIRTY_TWO_BITS | {FieldDescriptor.TYPE_STRING, FieldDescriptor.TYPE_BOOL, FieldDescriptor.TYPE_ENUM}
"""Types whose values stand in a tree within a message as they stand in an answer."""


def converter(field: FieldDescriptor) -> Convert | None:
    """Return what turns the tree of a field, or of one entry of a repeated one, into JSON; None where it is JSON."""
    return scalars.encoder(field) if field.message_type is None else _of_message(field.message_type)


def _of_message(descriptor: Descriptor) -> Convert:
    """Return what turns the tree of a message into JSON, by way of the message where that is not simple."""
    if not _is_simple(descriptor):
        kind, encode = message_factory.GetMessageClass(descriptor), GENERATED.message(descriptor)
        return lambda tree: encode(kind(**tree))
    if any(field.message_type is not None or field.has_presence for field in descriptor.fields):
        return _Tree(descriptor)
    return _flat(descriptor)


def _is_simple(descriptor: Descriptor, within: tuple[Descriptor, ...] = ()) -> bool:
    """Say whether a message is made of values that JSON has as they are, and of messages that are; not of itself."""
    if kinds.is_one_value(descriptor) or descriptor.GetOptions().map_entry or descriptor in within:
        return False
    inner = (*within, descriptor)
    return all(field.type in _SAME if field.message_type is None else _is_simple(field.message_type, inner) for field in descriptor.fields)


def _flat(descriptor: Descriptor) -> Convert:
    """Return what turns the tree of a message without messages in it into JSON. There are many of these, so it does little."""
    empty = _empty(descriptor)
    names = {field.name: field.json_name for field in descriptor.fields}

    def convert(tree: Json) -> Json:
        written = empty.copy()
        for name, value in tree.items():
            written[names[name]] = value
        return written

    return convert


class _Tree:
    """Turns the trees of any other message into JSON."""

    __slots__ = ("_always", "_optional")

    def __init__(self, descriptor: Descriptor) -> None:
        empty = _empty(descriptor)
        fields = [(field, field.name, field.json_name, _inner(field)) for field in descriptor.fields]
        self._always = [
            (name, json_name, convert, empty[json_name]) for field, name, json_name, convert in fields if not field.has_presence
        ]
        self._optional = [(name, json_name, convert) for field, name, json_name, convert in fields if field.has_presence]

    def __call__(self, tree: Json) -> Json:
        """Return the JSON of a tree."""
        written = {json: convert(tree[name]) if name in tree else empty for name, json, convert, empty in self._always}
        for name, json, convert in self._optional:
            if name in tree:
                written[json] = convert(tree[name])
        return written


def _empty(descriptor: Descriptor) -> Json:
    found: Json = GENERATED.message(descriptor)(message_factory.GetMessageClass(descriptor)())
    return found


def _inner(field: FieldDescriptor) -> Convert:
    """Return what turns the tree of a field within a message into JSON."""
    if field.message_type is None:
        return _as_it_is
    one = _of_message(field.message_type)
    return (lambda trees: [one(tree) for tree in trees]) if field.is_repeated else one


def _as_it_is(value: Any) -> Any:
    return value
