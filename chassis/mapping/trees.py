"""Trees that jsonb columns hold, under the contract's names and without what is not set, as the JSON of answers."""

from collections.abc import Callable
from typing import Any, Final

from google.protobuf import message_factory
from google.protobuf.descriptor import Descriptor, FieldDescriptor

from chassis.json import kinds
from chassis.json.encoders import GENERATED, Json

Convert = Callable[[Any], Any]

_SAME: Final = frozenset(
    (
        FieldDescriptor.TYPE_STRING,
        FieldDescriptor.TYPE_BOOL,
        FieldDescriptor.TYPE_ENUM,
        FieldDescriptor.TYPE_INT32,
        FieldDescriptor.TYPE_SINT32,
        FieldDescriptor.TYPE_SFIXED32,
        FieldDescriptor.TYPE_UINT32,
        FieldDescriptor.TYPE_FIXED32,
    )
)
"""Types whose values stand in a tree within a message as they stand in an answer."""


def converter(field: FieldDescriptor) -> Convert:
    """Return what turns the tree of a whole field into JSON."""
    if field.message_type is None:
        return GENERATED.field(field) or _as_it_is
    one = _of_message(field.message_type)
    return (lambda trees: [one(tree) for tree in trees]) if field.is_repeated else one


def _of_message(descriptor: Descriptor) -> Convert:
    """Return what turns the tree of a message into JSON, by way of the message where that is not simple."""
    if _is_simple(descriptor):
        return _Tree(descriptor)
    kind, encode = message_factory.GetMessageClass(descriptor), GENERATED.message(descriptor)
    return lambda tree: encode(kind(**tree))


def _is_simple(descriptor: Descriptor, within: tuple[Descriptor, ...] = ()) -> bool:
    """Say whether a message is made of values that JSON has as they are, and of messages that are; not of itself."""
    if kinds.is_one_value(descriptor) or descriptor.GetOptions().map_entry or descriptor in within:
        return False
    inner = (*within, descriptor)
    return all(field.type in _SAME if field.message_type is None else _is_simple(field.message_type, inner) for field in descriptor.fields)


class _Tree:
    """Turns the trees of one message type into JSON."""

    __slots__ = ("_empty", "_names", "_optional")

    def __init__(self, descriptor: Descriptor) -> None:
        self._empty: Json = GENERATED.message(descriptor)(message_factory.GetMessageClass(descriptor)())
        known = [(field, field.json_name, None if field.message_type is None else converter(field)) for field in descriptor.fields]
        self._names = {field.name: (json_name, convert) for field, json_name, convert in known if not field.has_presence}
        self._optional = [(field.name, json_name, convert) for field, json_name, convert in known if field.has_presence]

    def __call__(self, tree: Json) -> Json:
        """Return the JSON of a tree."""
        written = self._empty.copy()
        names = self._names
        for name, value in tree.items():
            known = names.get(name)
            if known is not None:
                json_name, convert = known
                written[json_name] = value if convert is None else convert(value)
        for name, json_name, convert in self._optional:
            if name in tree:
                written[json_name] = tree[name] if convert is None else convert(tree[name])
        return written


def _as_it_is(value: Any) -> Any:
    return value
