"""Columns of a CSV file: one for each plain value of a resource, compiled from its message so that no field list is written again."""

import base64
from collections.abc import Callable, Iterator, Sequence
from operator import attrgetter
from typing import Any, Final, NamedTuple

from google.api import field_behavior_pb2
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from chassis import sheets
from chassis.mapping import enum_names

Text = Callable[[Any], str]

_TIMESTAMP: Final = "google.protobuf.Timestamp"
_ETAG: Final = "etag"
_LINES: Final = "lines"


class Column(NamedTuple):
    """A column: its name, the text of its cell, and whether it is there when no columns are chosen."""

    path: str
    text: Text
    usual: bool


class Columns:
    """All columns of one kind of resource. A list of parts gives one for the first field of its entries, under the list's own name."""

    def __init__(self, kind: type[Message]) -> None:
        self._all = {column.path: column for column in _columns(kind.DESCRIPTOR)}

    def chosen(self, paths: Sequence[str]) -> list[Column]:
        """Return the columns of field paths in their order, the usual ones for none. Raises KeyError with a path that is none."""
        if not paths:
            return [column for column in self._all.values() if column.usual]
        return [column for path in dict.fromkeys(paths) for column in self._of(path)]

    def _of(self, path: str) -> list[Column]:
        if path in self._all:
            return [self._all[path]]
        within = [column for column in self._all.values() if path == "*" or column.path.startswith(f"{path}.")]
        if not within:
            raise KeyError(path)
        return within


def table(columns: Sequence[Column], messages: Sequence[Message]) -> bytes:
    """Return the lines of a CSV file for resources."""
    texts = [column.text for column in columns]
    return sheets.lines([text(message) for text in texts] for message in messages)


def _columns(descriptor: Any) -> Iterator[Column]:
    for field in descriptor.fields:
        if _is_plain(field):
            yield Column(field.name, _cell(field), usual=field.name != _ETAG)
        elif field.is_repeated:
            yield from _of_list(field)
        else:
            yield from _of_part(field)


def _of_part(field: Any) -> Iterator[Column]:
    part = attrgetter(field.name)
    for inner in field.message_type.fields:
        yield Column(f"{field.name}.{inner.name}", _within(part, _cell(inner)), usual=not _is_output(inner))


def _of_list(field: Any) -> Iterator[Column]:
    entries = attrgetter(field.name)
    for index, inner in enumerate(field.message_type.fields):
        name = f"{field.name}.{inner.name}" if index else field.name
        yield Column(name, _each(entries, _cell(inner)), usual=not _is_output(inner))


def _within(part: Callable[[Any], Any], cell: Text) -> Text:
    return lambda message: cell(part(message))


def _each(entries: Callable[[Any], Any], cell: Text) -> Text:
    def text(message: Any) -> str:
        found = entries(message)
        return sheets.joined([cell(entry) for entry in found]) if found else ""

    return text


def _cell(field: FieldDescriptor) -> Text:
    """Return how a field of a message is written; lines of an address stand below each other."""
    if not _is_plain(field):
        raise TypeError(f"{field.full_name} has no form in a CSV file")
    name, get = field.name, attrgetter(field.name)
    if field.message_type is not None:
        return lambda message: getattr(message, name).ToJsonString() if message.HasField(name) else ""
    one = _single(field)
    if field.is_repeated:
        between = sheets.BETWEEN_LINES if name == _LINES else sheets.BETWEEN
        return lambda message: sheets.joined([one(value) for value in get(message)], between)
    return get if field.type == FieldDescriptor.TYPE_STRING else _within(get, one)


def _is_plain(field: FieldDescriptor) -> bool:
    """Say whether a field stands in one cell: a scalar, a list of such, or a time."""
    return field.message_type is None or (field.message_type.full_name == _TIMESTAMP and not field.is_repeated)


def _single(field: FieldDescriptor) -> Text:
    if field.enum_type is not None:
        names = enum_names(field.enum_type) | {0: ""}
        return lambda number: names.get(number, str(number))
    return _TEXTS.get(field.type, str)


_TEXTS: Final[dict[int, Text]] = {
    FieldDescriptor.TYPE_BOOL: lambda value: "true" if value else "false",
    FieldDescriptor.TYPE_BYTES: lambda value: base64.b64encode(value).decode(),
}


def _is_output(field: FieldDescriptor) -> bool:
    return field_behavior_pb2.OUTPUT_ONLY in field.GetOptions().Extensions[field_behavior_pb2.field_behavior]
