"""Rows to JSON: the objects that the edge makes of their messages, without the messages.

Compiled for each form that rows come in. What has no short cut here goes through a message of the one field, so it is right anyhow.
"""

import struct
from collections.abc import Callable, Mapping
from typing import Any, Final

from google.protobuf.descriptor import EnumDescriptor, FieldDescriptor
from google.protobuf.message import Message

from chassis import etags
from chassis.database import decoding
from chassis.database.decoding import Column, Columns, Found
from chassis.json import kinds, scalars, wellknown
from chassis.json.encoders import GENERATED, Json
from chassis.json.kinds import TIMESTAMP
from chassis.mapping import trees
from chassis.mapping.enums import enum_names

Convert = Callable[[bytes], Any]
ETAG: Final = "etag"
_microseconds = struct.Struct(">q").unpack
_EPOCH: Final = 946_684_800  # PostgreSQL counts from 2000, timestamps from 1970


class _Plan:
    """How rows of one form are written: values that are always there, in their order, and those that only are when they are set."""

    __slots__ = ("always", "optional")

    def __init__(self) -> None:
        self.always: list[tuple[str, int, Convert, Any]] = []
        self.optional: list[tuple[str, int, Convert]] = []


class RowWriter:
    """Writes rows as the JSON of one message type. `columns` names the column of each field that has one; of the etag, the version."""

    def __init__(self, kind: type[Message], columns: Mapping[str, str]) -> None:
        described: Any = kind.DESCRIPTOR
        self._kind = kind
        self._fields: list[FieldDescriptor] = list(described.fields)
        self._columns = columns
        self._empty: Json = GENERATED.message(described)(kind())
        self._plans: dict[tuple[str, ...], _Plan] = {}

    def objects(self, found: Found, most: int) -> list[Json]:
        """Return the first rows as JSON objects."""
        plan = self._plans.get(found.columns.names) or self._compile(found.columns)
        return [self._object(found.get, number, plan) for number in range(min(found.size, most))]

    def _object(self, get: Callable[[int, int], bytes | None], number: int, plan: _Plan) -> Json:
        written = {name: empty if (raw := get(number, place)) is None else convert(raw) for name, place, convert, empty in plan.always}
        for name, place, convert in plan.optional:
            raw = get(number, place)
            if raw is not None:
                written[name] = convert(raw)
        return written

    def _compile(self, columns: Columns) -> _Plan:
        plan = self._plans[columns.names] = _Plan()
        for field in self._fields:
            place, convert = self._read(field, columns)
            if not field.has_presence:
                plan.always.append((field.json_name, place, convert, self._empty[field.json_name]))
            elif field.name in self._columns:
                plan.optional.append((field.json_name, place, convert))
        return plan

    def _read(self, field: FieldDescriptor, columns: Columns) -> tuple[int, Convert]:
        """Return the place of a field's column and what turns its values into JSON; of a field without one, any place and nothing."""
        if field.name not in self._columns:
            return 0, lambda _: self._empty[field.json_name]
        column = columns.described[columns.names.index(self._columns[field.name])]
        return column.place, _converter(field, column) or _through_message(self._kind, field, column)


def _converter(field: FieldDescriptor, column: Column) -> Convert | None:
    """Return what turns a value of the column into JSON, None where there is no short cut."""
    if column.kind == decoding.JSONB:
        return _stored(field) if kinds.map_entry(field) is None else None
    if field.is_repeated:
        return None
    if field.message_type is not None:
        return _moment if field.message_type.full_name == TIMESTAMP and column.kind == decoding.MOMENT else None
    if field.enum_type is not None:
        return _enum(field.enum_type) if column.kind in decoding.TEXTS else None
    if field.type == FieldDescriptor.TYPE_STRING:
        return _text(field, column)
    if field.type == FieldDescriptor.TYPE_BOOL:
        return decoding.boolean if column.kind == decoding.BOOL else None
    return _number(field) if column.kind in decoding.INTEGERS else None


def _text(field: FieldDescriptor, column: Column) -> Convert | None:
    if column.kind == decoding.UUID:
        return decoding.uuid
    if column.kind in decoding.TEXTS:
        return bytes.decode
    return _etag if field.name == ETAG and column.kind in decoding.INTEGERS else None


def _number(field: FieldDescriptor) -> Convert | None:
    if field.type in scalars.SIXTY_FOUR_BITS:
        return _long
    return decoding.integer if field.type in scalars.THIRTY_TWO_BITS else None


def _etag(raw: bytes) -> str:
    return etags.of(int.from_bytes(raw, "big"))


def _long(raw: bytes) -> str:
    return str(decoding.integer(raw))


def _moment(raw: bytes) -> str:
    seconds, microseconds = divmod(_microseconds(raw)[0], 1_000_000)
    return wellknown.moment_json(seconds + _EPOCH, microseconds * 1_000)


def _enum(enum: EnumDescriptor) -> Convert:
    names = enum.values_by_number
    return {stored.encode(): names[number].name for number, stored in enum_names(enum).items()}.__getitem__


def _stored(field: FieldDescriptor) -> Convert:
    """Return what turns a tree into JSON; nothing is by far the most frequent one."""
    convert, tree = trees.converter(field), decoding.tree
    if convert is None:
        return tree
    if not field.is_repeated:
        return lambda raw: convert(tree(raw))
    return lambda raw: [] if raw == decoding.NO_ENTRIES else [convert(each) for each in tree(raw)]


def _through_message(kind: type[Message], field: FieldDescriptor, column: Column) -> Convert:
    name, decode, encode = field.name, column.decode, GENERATED.field(field)

    def convert(raw: bytes) -> Any:
        value = getattr(kind(**{name: decode(raw)}), name)
        return encode(value) if encode else value

    return convert
