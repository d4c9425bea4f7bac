"""Rows to messages and back, compiled from the table and the message, so that no field list is written a third time."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final, Generic, TypeVar

import orjson
from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message
from sqlalchemy import Table

from chassis import etags

M = TypeVar("M", bound=Message)
Convert = Callable[[Any], Any]

VERSION: Final = "version"
_TIMESTAMP: Final = "google.protobuf.Timestamp"


class Mapping(Generic[M]):
    """How the rows of a table are a resource of the contract.

    A column belongs to the field of its name; `version` is the etag. Repeated and message fields live in jsonb under their
    proto names, timestamps in timestamptz, enums in text by their value's name without the enum's prefix, in lower case.
    An empty text in a nullable column is NULL. Columns that are no field (sort keys) are left to the store.
    """

    def __init__(self, kind: type[M], table: Table) -> None:
        self._kind = kind
        fields: dict[str, Any] = {each.name: each for each in kind.DESCRIPTOR.fields if each.name in table.c}
        self._in: list[tuple[str, Convert | None]] = [(name, _reader(each)) for name, each in fields.items()]
        nullable = {name for name in fields if table.c[name].nullable}
        self._out: list[tuple[str, Convert]] = [(name, _writer(each, nullable=name in nullable)) for name, each in fields.items()]
        self._versioned = VERSION in table.c and "etag" in kind.DESCRIPTOR.fields_by_name
        self.columns: tuple[str, ...] = (*fields, *((VERSION,) if self._versioned else ()))

    def message(self, row: dict[str, Any]) -> M:
        """Return the resource that a row holds."""
        values = {name: convert(row[name]) if convert else row[name] for name, convert in self._in if row[name] is not None}
        if self._versioned:
            values["etag"] = etags.of(row[VERSION])
        return self._kind(**values)

    def values(self, message: M) -> dict[str, Any]:
        """Return the column values of a resource, the version apart: a write sets it by its own rule."""
        return {name: convert(message) for name, convert in self._out}


def _reader(field: FieldDescriptor) -> Convert | None:
    if field.enum_type is not None and not field.is_repeated:
        return enum_numbers(field.enum_type).__getitem__
    return None


def _writer(field: FieldDescriptor, *, nullable: bool) -> Convert:
    name = field.name
    if field.is_repeated and field.message_type is not None:
        plain = _flat if _is_flat(field.message_type) else _plain
        return lambda message: orjson.dumps([plain(each) for each in getattr(message, name)]).decode()
    if field.is_repeated:
        return lambda message: orjson.dumps(list(getattr(message, name))).decode()
    if field.message_type is not None and field.message_type.full_name == _TIMESTAMP:
        return lambda message: _moment(message, name)
    if field.message_type is not None:
        plain = _flat if _is_flat(field.message_type) else _plain
        return lambda message: orjson.dumps(plain(getattr(message, name))).decode() if message.HasField(name) else None
    if field.enum_type is not None:
        names = enum_names(field.enum_type)
        return lambda message: names[getattr(message, name)]
    if nullable:
        return lambda message: getattr(message, name) or None
    return lambda message: getattr(message, name)


def _plain(message: Message) -> dict[str, Any]:
    return MessageToDict(message, preserving_proto_field_name=True)


def _is_flat(message: Descriptor) -> bool:
    """Say whether JSON has every value of a message as it is; such messages need no json_format, which takes 10 us."""
    return all(field.type in {FieldDescriptor.TYPE_STRING, FieldDescriptor.TYPE_BOOL} for field in message.fields)


def _flat(message: Message) -> dict[str, Any]:
    return {field.name: list(value) if field.is_repeated else value for field, value in message.ListFields()}


def _moment(message: Message, name: str) -> datetime | None:
    return getattr(message, name).ToDatetime(UTC) if message.HasField(name) else None


def enum_names(enum: EnumDescriptor) -> dict[int, str]:
    """Return the stored name of each value: CONTACT_STATUS_ACTIVE is "active"."""
    prefix = _prefix(enum)
    return {value.number: value.name.removeprefix(prefix).lower() for value in enum.values}


def enum_numbers(enum: EnumDescriptor) -> dict[str, int]:
    """Return the number of each stored name."""
    return {name: number for number, name in enum_names(enum).items()}


def _prefix(enum: EnumDescriptor) -> str:
    """Return what all value names of an enum start with: buf's ENUM_VALUE_PREFIX keeps it the enum's name in capitals."""
    zero = enum.values_by_number[0].name
    return str(zero.removesuffix("UNSPECIFIED"))
