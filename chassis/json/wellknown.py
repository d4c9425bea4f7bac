"""Messages that JSON writes in a way of their own: google.protobuf's well-known types."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any, Final

from google.protobuf.descriptor import Descriptor

from chassis.json import scalars
from chassis.json.kinds import DURATION, FIELD_MASK, LIST_VALUE, STRUCT, TIMESTAMP, VALUE, is_wrapper
from chassis.json.scalars import Encoder

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_SMALL: Final = re.compile(r"_([a-z])")


def encoder(descriptor: Descriptor) -> Encoder | None:
    """Return the encoder of a well-known type, or None for any other message. Any is the business of `encoders`."""
    if is_wrapper(descriptor):
        encode = scalars.encoder(descriptor.fields_by_name["value"])
        return (lambda message: encode(message.value)) if encode else (lambda message: message.value)
    return _ENCODERS.get(descriptor.full_name)


@lru_cache(maxsize=4096)
def _second_json(seconds: int) -> str:
    return (_EPOCH + timedelta(seconds=seconds)).isoformat()[:19]


def moment_json(seconds: int, nanos: int) -> str:
    """Return a time since 1970 as RFC 3339 has it, in UTC."""
    return f"{_second_json(seconds)}{_fraction_json(nanos)}Z"


def _timestamp_json(message: Any) -> str:
    return moment_json(message.seconds, message.nanos)


def _duration_json(message: Any) -> str:
    sign = "-" if message.seconds < 0 or message.nanos < 0 else ""
    return f"{sign}{abs(message.seconds)}{_fraction_json(abs(message.nanos))}s"


def _fraction_json(nanos: int) -> str:
    """Return no, three, six or nine digits: the fewest that are exact (timestamp.proto)."""
    if not nanos:
        return ""
    if nanos % 1_000_000 == 0:
        return f".{nanos // 1_000_000:03}"
    return f".{nanos // 1_000:06}" if nanos % 1_000 == 0 else f".{nanos:09}"


def _mask_json(message: Any) -> str:
    return ",".join(_SMALL.sub(lambda match: match[1].upper(), path) for path in message.paths)


def _value_json(message: Any) -> Any:
    kind = message.WhichOneof("kind")
    if kind is None or kind == "null_value":
        return None
    value = getattr(message, kind)
    if kind == "struct_value":
        return _struct_json(value)
    if kind == "list_value":
        return _list_json(value)
    return scalars.number_json(value) if kind == "number_value" else value


def _struct_json(message: Any) -> dict[str, Any]:
    return {key: _value_json(value) for key, value in message.fields.items()}


def _list_json(message: Any) -> list[Any]:
    return [_value_json(value) for value in message.values]


_ENCODERS: Final[Mapping[str, Encoder]] = {
    TIMESTAMP: _timestamp_json,
    DURATION: _duration_json,
    FIELD_MASK: _mask_json,
    STRUCT: _struct_json,
    VALUE: _value_json,
    LIST_VALUE: _list_json,
}
