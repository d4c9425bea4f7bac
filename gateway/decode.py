"""JSON to messages: one decoder per message type, compiled once from its descriptor.

A decoder returns a tree of plain values that the message's constructor takes whole; so path, query and body meet in one tree, and the
message is built once.
"""

from collections.abc import Callable
from typing import Any, Final, NamedTuple

from google.protobuf import descriptor_pool, message_factory
from google.protobuf.descriptor import Descriptor, FieldDescriptor

from chassis.errors import Reason
from chassis.json import kinds
from gateway import scalars, wellknown
from gateway.invalid import Invalid
from gateway.scalars import Decoder

Tree = dict[str, Any]


class _Field(NamedTuple):
    name: str
    decode: Decoder
    takes_null: bool


class MessageDecoder:
    """Turns a JSON object into a tree. Unknown fields, a field named twice and two members of a oneof are refused."""

    __slots__ = ("_fields", "_oneofs")

    def __init__(self) -> None:
        self._fields: dict[str, _Field] = {}
        self._oneofs: tuple[frozenset[str], ...] = ()

    def fill(self, descriptor: Descriptor, decoders: "Decoders") -> None:
        """Learn the fields; apart from the constructor, since a message may hold itself."""
        for field in descriptor.fields:
            known = _Field(field.name, decoders.field(field), _takes_null(field))
            self._fields[field.name] = self._fields[field.json_name] = known
        self._oneofs = tuple(frozenset(each.name for each in oneof.fields) for oneof in descriptor.oneofs if len(oneof.fields) > 1)

    def __call__(self, value: Any) -> Tree:
        """Return the tree of a JSON object."""
        if type(value) is not dict:
            raise Invalid("must be an object")
        tree: Tree = {}
        for key, item in value.items():
            field = self._fields.get(key)
            if field is None:
                raise Invalid("there is no such field", field=key, reason=Reason.UNKNOWN_FIELD)
            name, decode, takes_null = field
            if name in tree:
                raise Invalid("is named twice", field=name)
            if item is None and not takes_null:
                tree[name] = None
                continue
            try:
                tree[name] = decode(item)
            except Invalid as wrong:
                raise wrong.under(name) from None
        if self._oneofs:
            self._check_oneofs(tree)
        return tree

    def _check_oneofs(self, tree: Tree) -> None:
        for members in self._oneofs:
            named = [name for name in tree if name in members and tree[name] is not None]
            if len(named) > 1:
                raise Invalid(f"excludes {named[0]}", field=named[1])


class Decoders:
    """The decoders of one contract, made as they are needed."""

    def __init__(self, pool: descriptor_pool.DescriptorPool) -> None:
        self._pool = pool
        self._messages: dict[str, Decoder] = {}

    def message(self, descriptor: Descriptor) -> Decoder:
        """Return the decoder of a message type."""
        known = self._messages.get(descriptor.full_name)
        if known is None:
            known = wellknown.decoder(descriptor) or (self._any if descriptor.full_name == kinds.ANY else None)
            if known is None:
                return self._compile(descriptor)
            self._messages[descriptor.full_name] = known
        return known

    def field(self, field: FieldDescriptor) -> Decoder:
        """Return the decoder of a field's JSON value."""
        entry = kinds.map_entry(field)
        if entry is not None:
            return self._map(entry)
        one = self._one(field)
        return _list(one) if field.is_repeated else one

    def _compile(self, descriptor: Descriptor) -> Decoder:
        fresh = self._messages[descriptor.full_name] = MessageDecoder()
        fresh.fill(descriptor, self)
        return fresh

    def _one(self, field: FieldDescriptor) -> Decoder:
        if field.message_type is not None:
            return self.message(field.message_type)
        return _null if _takes_null(field) else scalars.decoder(field)

    def _map(self, entry: Descriptor) -> Decoder:
        key = scalars.text_decoder(entry.fields_by_name["key"])
        value = self._one(entry.fields_by_name["value"])

        def decode(given: Any) -> dict[Any, Any]:
            if type(given) is not dict:
                raise Invalid("must be an object")
            found = {}
            for name, item in given.items():
                try:
                    found[key(name)] = value(item)
                except Invalid as wrong:
                    raise wrong.at(name) from None
            return found

        return decode

    def _any(self, value: Any) -> Tree:
        """Pack a message that names its type (any.proto)."""
        if type(value) is not dict:
            raise Invalid("must be an object")
        if not value:
            return {}
        url = value.get("@type")
        if type(url) is not str:
            raise Invalid("must name its type", field="@type")
        try:
            descriptor = self._pool.FindMessageTypeByName(url.rpartition("/")[2])
        except KeyError:
            raise Invalid("is no type of the contract", field="@type") from None
        content = {key: item for key, item in value.items() if key != "@type"}
        tree = self.message(descriptor)(content.get("value") if kinds.is_one_value(descriptor) else content)
        message = message_factory.GetMessageClass(descriptor)(**tree) if type(tree) is dict else tree
        return {"type_url": url, "value": message.SerializeToString()}


def _list(decode: Decoder) -> Callable[[Any], list[Any]]:
    def decode_list(value: Any) -> list[Any]:
        if type(value) is not list:
            raise Invalid("must be an array")
        found: list[Any] = []
        try:
            for item in value:
                found.append(decode(item))  # noqa: PERF401 - its length tells where a wrong element stands
        except Invalid as wrong:
            raise wrong.at(len(found)) from None
        return found

    return decode_list


def _takes_null(field: FieldDescriptor) -> bool:
    """Say whether null is a value of the field rather than its absence."""
    if field.is_repeated:
        return False
    kind = field.message_type or field.enum_type
    return kind is not None and kind.full_name in _NULLABLE


def _null(value: Any) -> int:
    if value is not None and value != "NULL_VALUE":
        raise Invalid("must be null")
    return 0


_NULLABLE: Final[frozenset[str]] = frozenset({kinds.VALUE, "google.protobuf.NullValue"})
