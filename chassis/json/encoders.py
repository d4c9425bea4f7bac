"""Messages to JSON: one encoder per message type, compiled once from its descriptor."""

import base64
from collections.abc import Callable
from operator import attrgetter
from typing import Any, Final

from google.protobuf import descriptor_pool, message_factory
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import DecodeError, Message

from chassis.json import kinds, scalars, wellknown
from chassis.json.scalars import Encoder

Json = dict[str, Any]


class MessageEncoder:
    """Turns a message into a JSON object. Fields without presence are always there; those with presence only when they are set."""

    __slots__ = ("_changed", "_names", "_optional", "_values")

    def __init__(self) -> None:
        self._names: tuple[str, ...] = ()
        self._values: Callable[[Message], tuple[Any, ...]] = _nothing
        self._changed: tuple[tuple[int, Encoder], ...] = ()
        self._optional: tuple[tuple[str, str, Encoder | None], ...] = ()

    def fill(self, descriptor: Descriptor, encoders: "Encoders") -> None:
        """Learn the fields; apart from the constructor, since a message may hold itself."""
        always = [field for field in descriptor.fields if not field.has_presence]
        compiled = [encoders.field(field) for field in always]
        self._names = tuple(field.json_name for field in always)
        self._values = _getter([field.name for field in always])
        self._changed = tuple((index, encode) for index, encode in enumerate(compiled) if encode)
        self._optional = tuple((field.name, field.json_name, encoders.field(field)) for field in descriptor.fields if field.has_presence)

    def __call__(self, message: Message) -> Json:
        """Return the JSON object of a message."""
        values: Any = self._values(message)
        if self._changed:
            values = list(values)
            for index, encode in self._changed:
                values[index] = encode(values[index])
        found = dict(zip(self._names, values, strict=True))
        for name, json_name, encode_one in self._optional:
            if message.HasField(name):
                value = getattr(message, name)
                found[json_name] = encode_one(value) if encode_one else value
        return found


class Encoders:
    """The encoders of one contract, made as they are needed."""

    def __init__(self, pool: descriptor_pool.DescriptorPool) -> None:
        self._pool = pool
        self._messages: dict[str, Encoder] = {}

    def message(self, descriptor: Descriptor) -> Encoder:
        """Return the encoder of a message type."""
        known = self._messages.get(descriptor.full_name)
        if known is None:
            known = wellknown.encoder(descriptor) or (self._any if descriptor.full_name == kinds.ANY else None)
            if known is None:
                return self._compile(descriptor)
            self._messages[descriptor.full_name] = known
        return known

    def field(self, field: FieldDescriptor) -> Encoder | None:
        """Return the encoder of a field's value, or None if the value is JSON as it stands."""
        entry = kinds.map_entry(field)
        if entry is not None:
            return self._map(entry)
        one = self._one(field)
        if not field.is_repeated:
            return one
        return _list_of(one) if one else list

    def _compile(self, descriptor: Descriptor) -> Encoder:
        fresh = self._messages[descriptor.full_name] = MessageEncoder()
        fresh.fill(descriptor, self)
        return fresh

    def _one(self, field: FieldDescriptor) -> Encoder | None:
        return self.message(field.message_type) if field.message_type is not None else scalars.encoder(field)

    def _map(self, entry: Descriptor) -> Encoder:
        key = _KEYS.get(entry.fields_by_name["key"].type, str)
        value = self._one(entry.fields_by_name["value"])
        if value is None:
            return lambda entries: {key(name): item for name, item in entries.items()}
        return lambda entries: {key(name): value(item) for name, item in entries.items()}

    def _any(self, message: Any) -> Json:
        """Unpack a message that names its type (any.proto); one that the contract does not know is shown as it came."""
        if not message.type_url:
            return {}
        found: Json = {"@type": message.type_url}
        try:
            descriptor = self._pool.FindMessageTypeByName(message.type_url.rpartition("/")[2])
            inner = self.message(descriptor)(message_factory.GetMessageClass(descriptor).FromString(message.value))
        except (KeyError, DecodeError):
            return found | {"value": base64.b64encode(message.value).decode()}
        return found | ({"value": inner} if kinds.is_one_value(descriptor) else inner)


def _getter(names: list[str]) -> Callable[[Message], tuple[Any, ...]]:
    """Return a function that reads all names at once; attrgetter returns no tuple for a single one."""
    if not names:
        return _nothing
    get = attrgetter(*names)
    return get if len(names) > 1 else lambda message: (get(message),)


def _nothing(_: Message) -> tuple[Any, ...]:
    return ()


def _list_of(encode: Encoder) -> Encoder:
    return lambda values: [encode(value) for value in values]


def _boolean_key(key: bool) -> str:  # noqa: FBT001 - a map's key, no flag
    return "true" if key else "false"


_KEYS: dict[int, Encoder] = {FieldDescriptor.TYPE_BOOL: _boolean_key}

GENERATED: Final = Encoders(descriptor_pool.Default())
"""The encoders of generated code."""
