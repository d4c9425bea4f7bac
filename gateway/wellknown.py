"""Messages that JSON writes in a way of their own: google.protobuf's well-known types.

Decoders return what a message constructor takes for such a field.
"""

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta, timezone
from typing import Any, Final

from google.protobuf import message_factory
from google.protobuf.descriptor import Descriptor

from chassis.json.kinds import DURATION, FIELD_MASK, LIST_VALUE, STRUCT, TIMESTAMP, VALUE, is_wrapper
from gateway import scalars
from gateway.invalid import Invalid
from gateway.scalars import Decoder

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_SECOND: Final = timedelta(seconds=1)
_TIMESTAMP: Final = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(?:Z|([+-])(\d\d):(\d\d))", re.ASCII)
_DURATION: Final = re.compile(r"(-?)(\d{1,12})(?:\.(\d{1,9}))?s", re.ASCII)
_MAX_DURATION: Final = 315_576_000_000  # duration.proto
_FIELD_PATH: Final = re.compile(r"\*|[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*")
_CAPITAL: Final = re.compile(r"[A-Z]")


def decoder(descriptor: Descriptor) -> Decoder | None:
    """Return the decoder of a well-known type, or None for any other message. Any is the business of `decode`."""
    if is_wrapper(descriptor):
        value = scalars.decoder(descriptor.fields_by_name["value"])
        return lambda given: {"value": value(given)}
    tree = _TREES.get(descriptor.full_name)
    return tree(message_factory.GetMessageClass(descriptor)) if tree else _TEXTS.get(descriptor.full_name)


def text_decoder(descriptor: Descriptor) -> Decoder | None:
    """Return the decoder of a well-known type that a path or a query can carry as one text."""
    if is_wrapper(descriptor):
        value = scalars.text_decoder(descriptor.fields_by_name["value"])
        return lambda given: {"value": value(given)}
    return _TEXTS.get(descriptor.full_name)


def _timestamp(value: Any) -> dict[str, int]:
    match = _TIMESTAMP.fullmatch(value) if type(value) is str else None
    if match is None:
        raise Invalid("must be a time such as 2026-01-31T13:45:00Z")
    moment, fraction, sign, hours, minutes = match.groups()
    try:
        zone = timezone(_offset(sign, int(hours), int(minutes))) if sign else UTC
        seconds = (datetime.fromisoformat(moment).replace(tzinfo=zone) - _EPOCH) // _SECOND
    except (ValueError, OverflowError):
        raise Invalid("is no date and time of the calendar") from None
    if not _OLDEST <= seconds <= _NEWEST:
        raise Invalid("must be between the years 1 and 9999")
    return {"seconds": seconds, "nanos": _nanos(fraction)}


def _offset(sign: str, hours: int, minutes: int) -> timedelta:
    if hours > 23 or minutes > 59:
        raise ValueError
    offset = timedelta(hours=hours, minutes=minutes)
    return offset if sign == "+" else -offset


_OLDEST: Final = (datetime(1, 1, 1, tzinfo=UTC) - _EPOCH) // _SECOND
_NEWEST: Final = (datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC) - _EPOCH) // _SECOND


def _duration(value: Any) -> dict[str, int]:
    match = _DURATION.fullmatch(value) if type(value) is str else None
    if match is None:
        raise Invalid('must be a duration in seconds such as "1.5s"')
    sign, seconds, fraction = match.groups()
    if int(seconds) > _MAX_DURATION or (int(seconds) == _MAX_DURATION and _nanos(fraction)):
        raise Invalid(f"must be at most {_MAX_DURATION} seconds")
    turn = -1 if sign else 1
    return {"seconds": turn * int(seconds), "nanos": turn * _nanos(fraction)}


def _nanos(fraction: str | None) -> int:
    return int(fraction.ljust(9, "0")) if fraction else 0


def _mask(value: Any) -> dict[str, list[str]]:
    """Take paths in the contract's names or in JSON's."""
    if type(value) is not str:
        raise Invalid("must be field names with commas between them")
    paths = value.split(",") if value else []
    for path in paths:
        if not _FIELD_PATH.fullmatch(path):
            raise Invalid(f"{path!r} is no field path")
    return {"paths": [_snake(path) for path in paths]}


def _snake(path: str) -> str:
    return _CAPITAL.sub(lambda letter: f"_{letter[0].lower()}", path)


def _struct(kind: Callable[..., Any]) -> Decoder:
    """Fill a message, since a constructor takes a Struct's dict in some places as its content and in others as its fields."""

    def decode(value: Any) -> Any:
        if type(value) is not dict:
            raise Invalid("must be an object")
        message = kind()
        message.update(value)
        return message

    return decode


def _list(kind: Callable[..., Any]) -> Decoder:
    def decode(value: Any) -> Any:
        if type(value) is not list:
            raise Invalid("must be an array")
        message = kind()
        message.extend(value)
        return message

    return decode


def _value(kind: Callable[..., Any]) -> Decoder:
    return lambda value: kind(**{_KINDS[type(value)]: 0 if value is None else value})


_KINDS: Final[Mapping[type, str]] = {
    dict: "struct_value",
    list: "list_value",
    str: "string_value",
    bool: "bool_value",
    int: "number_value",
    float: "number_value",
    type(None): "null_value",
}


_TEXTS: Final[Mapping[str, Decoder]] = {TIMESTAMP: _timestamp, DURATION: _duration, FIELD_MASK: _mask}
_TREES: Final[Mapping[str, Callable[[Callable[..., Any]], Decoder]]] = {STRUCT: _struct, VALUE: _value, LIST_VALUE: _list}
