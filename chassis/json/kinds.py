"""Kinds of messages and fields that JSON has a form of its own for: maps, and google.protobuf's well-known types."""

from typing import Final

from google.protobuf.descriptor import Descriptor, FieldDescriptor

TIMESTAMP: Final = "google.protobuf.Timestamp"
DURATION: Final = "google.protobuf.Duration"
FIELD_MASK: Final = "google.protobuf.FieldMask"
STRUCT: Final = "google.protobuf.Struct"
VALUE: Final = "google.protobuf.Value"
LIST_VALUE: Final = "google.protobuf.ListValue"
ANY: Final = "google.protobuf.Any"
HTTP_BODY: Final = "google.api.HttpBody"

_ONE_VALUE: Final = frozenset((TIMESTAMP, DURATION, FIELD_MASK, STRUCT, VALUE, LIST_VALUE, ANY))


def map_entry(field: FieldDescriptor) -> Descriptor | None:
    """Return the entry of a map, which descriptors show as a list of entries, or None for any other field."""
    entry = field.message_type
    return entry if entry is not None and entry.GetOptions().map_entry else None


def is_wrapper(descriptor: Descriptor) -> bool:
    """Say whether the message is one of wrappers.proto: a scalar with presence."""
    return descriptor.file.name == "google/protobuf/wrappers.proto"


def is_one_value(descriptor: Descriptor) -> bool:
    """Say whether the message has a JSON form that is no object of its fields, so that a mask cannot go into it."""
    return descriptor.full_name in _ONE_VALUE or is_wrapper(descriptor)
