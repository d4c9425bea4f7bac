"""Rows to messages and back, and to JSON; compiled from the table and the message, so that no field list is written a third time."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Generic, TypeVar

import orjson
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message
from sqlalchemy import Table

from chassis import etags
from chassis.database.columns import VERSION
from chassis.database.decoding import Found
from chassis.json.encoders import Json
from chassis.json.kinds import TIMESTAMP
from chassis.mapping.enums import enum_names, enum_numbers
from chassis.mapping.rows import RowWriter

M = TypeVar("M", bound=Message)
Convert = Callable[[Any], Any]


class Mapping(Generic[M]):
    """How the rows of a table are a resource of the contract.

    A column belongs to the field of its name; `version` is the etag. Repeated and message fields live in jsonb under their
    proto names, timestamps in timestamptz, enums in text by their value's name without the enum's prefix, in lower case.
    An empty text in a nullable column is NULL. Columns that are no field (sort keys) are left to the store.
    """

    def __init__(self, kind: type[M], table: Table) -> None:
        fields: dict[str, Any] = {each.name: each for each in kind.DESCRIPTOR.fields if each.name in table.c}
        self._in: list[tuple[str, Convert | None]] = [(name, _reader(each)) for name, each in fields.items()]
        nullable = {name for name in fields if table.c[name].nullable}
        self._out: list[tuple[str, Convert]] = [(name, _writer(each, nullable=name in nullable)) for name, each in fields.items()]
        self._versioned = VERSION in table.c and "etag" in kind.DESCRIPTOR.fields_by_name
        self.columns: tuple[str, ...] = (*fields, *((VERSION,) if self._versioned else ()))
        self.kind = kind
        self.table = table
        self._json = RowWriter(kind, {name: name for name in fields} | ({"etag": VERSION} if self._versioned else {}))

    def message(self, row: dict[str, Any]) -> M:
        """Return the resource that a row holds."""
        values = {name: convert(row[name]) if convert else row[name] for name, convert in self._in if row[name] is not None}
        if self._versioned:
            values["etag"] = etags.of(row[VERSION])
        return self.kind(**values)

    def json(self, found: Found, most: int) -> list[Json]:
        """Return the first rows as the JSON objects that the edge makes of their messages."""
        return self._json.objects(found, most)

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
    if field.message_type is not None and field.message_type.full_name == TIMESTAMP:
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
