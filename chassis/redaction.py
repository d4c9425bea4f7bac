"""What may be written down of a message: PERSONAL and SECRET values are replaced, the shape stays."""

from typing import Any, Final

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from chassis import contract

MASK: Final = "[redacted]"


def redacted(message: Message) -> dict[str, Any]:
    """Return the set fields of a message as JSON values under their proto names, with the sensitive ones masked."""
    masked = contract.sensitive(type(message))
    return {field.name: MASK if field.name in masked else _plain(field, value) for field, value in message.ListFields()}


def _plain(field: FieldDescriptor, value: Any) -> Any:
    if field.is_repeated:
        return [_single(each) for each in value]
    return _single(value)


def _single(value: Any) -> Any:
    if isinstance(value, Timestamp):
        return value.ToJsonString()
    if isinstance(value, Message):
        return redacted(value)
    if isinstance(value, bytes):
        return MASK
    return value
