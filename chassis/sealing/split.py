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
    """The fields of a message type: those that are personal whole, single messages that are so in part, and the others."""

    whole: tuple[str, ...]
    partly: tuple[str, ...]
    others: tuple[str, ...]


def split(event: Message) -> Parts:
    """Return the parts of an event. What this process does not know of it may be personal and is left out."""
    clear = _copy(event)
    clear.DiscardUnknownFields()
    personal = _copy(clear)
    if not _keep(personal):
        return Parts(clear.SerializeToString(), b"")
    _strip(clear)
    return Parts(clear.SerializeToString(), personal.SerializeToString())


def _copy(message: Message) -> Message:
    copy = type(message)()
    copy.CopyFrom(message)
    return copy


def _keep(message: Message) -> bool:
    """Clear all but the personal fields; say whether any of them is set."""
    plan = _plan(message.DESCRIPTOR)
    for name in plan.others:
        message.ClearField(name)
    for name in plan.partly:
        if message.HasField(name) and not _keep(getattr(message, name)):
            message.ClearField(name)
    return message.ByteSize() > 0


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
    fields: dict[str, list[str]] = {"whole": [], "partly": [], "others": []}
    for field in kind.fields:
        within = _within(field)
        whole = contract.is_sensitive(field) or (within and field.is_repeated)
        fields["whole" if whole else "partly" if within else "others"].append(field.name)
    return _Plan(**{name: tuple(names) for name, names in fields.items()})


def _within(field: FieldDescriptor) -> bool:
    return field.message_type is not None and contract.holds_sensitive(field.message_type)
