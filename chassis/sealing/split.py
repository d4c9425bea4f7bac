"""An event in two parts: what anybody may read, and what is about a person. Merging the one into the other gives the event again.

Merging appends to repeated fields, so one that holds anything personal goes into the personal part whole; a single message is
split field by field.
"""

from functools import cache
from typing import NamedTuple

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message

from chassis import contract


class Parts(NamedTuple):
    """The two parts of an event, serialized. `personal` is empty where nothing personal is set."""

    clear: bytes
    personal: bytes


class _Plan(NamedTuple):
    """Fields of a message type that are personal whole, and single messages that are so in part."""

    whole: frozenset[str]
    partly: frozenset[str]


def split(event: Message) -> Parts:
    """Return the parts of an event. What this process does not know of it may be personal and is left out."""
    personal = _personal(event)
    if personal is None:
        return Parts(event.SerializeToString(), b"")
    clear = type(event)()
    clear.CopyFrom(event)
    clear.DiscardUnknownFields()
    _strip(clear)
    return Parts(clear.SerializeToString(), personal.SerializeToString())


def _personal(message: Message) -> Message | None:
    """Return a message of the same type with the personal fields alone, None if none is set."""
    plan = _plan(message.DESCRIPTOR)
    found = {}
    for field, value in message.ListFields():
        part = value if field.name in plan.whole else _personal(value) if field.name in plan.partly else None
        if part is not None:
            found[field.name] = part
    return type(message)(**found) if found else None


def _strip(message: Message) -> None:
    """Clear the personal fields."""
    plan = _plan(message.DESCRIPTOR)
    for name in plan.whole:
        message.ClearField(name)
    for name in plan.partly:
        if message.HasField(name):
            _strip(getattr(message, name))


@cache
def _plan(kind: Descriptor) -> _Plan:
    personal = [field for field in kind.fields if contract.is_sensitive(field) or _within(field)]
    whole = frozenset(field.name for field in personal if contract.is_sensitive(field) or field.is_repeated)
    return _Plan(whole, frozenset(field.name for field in personal) - whole)


def _within(field: FieldDescriptor) -> bool:
    return field.message_type is not None and contract.holds_sensitive(field.message_type)
