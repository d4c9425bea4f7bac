"""What may be written down of a message: PERSONAL and SECRET values are replaced, the shape stays."""

from collections.abc import Callable
from functools import lru_cache
from typing import Any, Final

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from chassis import contract

MASK: Final = "[redacted]"

_Show = Callable[[Any], Any]


def redacted(message: Message) -> dict[str, Any]:
    """Return the set fields of a message as JSON values under their proto names, with the sensitive ones masked."""
    fields = _fields(type(message))
    shown: dict[str, Any] = {}
    for field, value in message.ListFields():
        name, show = fields[field.number]
        shown[name] = show(value)
    return shown


@contract.per_kind
def _fields(kind: type[Message]) -> dict[int, tuple[str, _Show]]:
    """Return how each field is shown, by its number: asking descriptors for each value costs more than the rest."""
    masked = contract.sensitive(kind)
    return {field.number: (field.name, _masked if field.name in masked else _show(field)) for field in kind.DESCRIPTOR.fields}


def _show(field: Any) -> _Show:
    single = _single(field)
    return (lambda values: [single(each) for each in values]) if field.is_repeated else single


def _single(field: Any) -> _Show:
    if field.type == FieldDescriptor.TYPE_BYTES:
        return _masked
    if field.message_type is None:
        return _plain
    return _moment if field.message_type.full_name == Timestamp.DESCRIPTOR.full_name else redacted


def _masked(_: Any) -> str:
    return MASK


def _plain(value: Any) -> Any:
    return value


def _moment(value: Timestamp) -> str:
    return _text(value.seconds, value.nanos)


@lru_cache(maxsize=1_000)
def _text(seconds: int, nanos: int) -> str:
    """Return a moment as JSON has it: what one transaction writes is of one moment."""
    return Timestamp(seconds=seconds, nanos=nanos).ToJsonString()
