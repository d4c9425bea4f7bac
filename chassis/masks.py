"""Field masks (AIP-134, AIP-161): which fields of a resource a caller changes, and which did change."""

from collections.abc import Iterable
from functools import lru_cache
from typing import Any, Final, TypeVar

from google.api import field_behavior_pb2
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.message import Message

from chassis.errors import InvalidArgument, Reason, Violation

M = TypeVar("M", bound=Message)

SERVER_OWNED: Final = frozenset({"id", "etag", "create_time", "update_time", "delete_time"})


def apply(before: M, wanted: M, mask: FieldMask, *, field: str = "update_mask") -> M:
    """Return `before` with the masked fields taken from `wanted`.

    An absent mask names what `wanted` holds, "*" every field. Output-only fields are left as they are.
    A path that the resource does not have is refused as UNKNOWN_FIELD.
    """
    after = type(before)()
    after.CopyFrom(before)
    for path in _paths(wanted, mask, field):
        _copy(wanted, after, path.split("."))
    return after


def taken(wanted: M) -> M:
    """Return a new resource as it is wanted; what only the server fills in, or what nobody here knows, is not taken over."""
    new = type(wanted)()
    new.CopyFrom(wanted)
    new.DiscardUnknownFields()
    for name in _output_only(wanted.DESCRIPTOR):
        new.ClearField(name)
    return new


def changed(before: Message, after: Message) -> FieldMask:
    """Return the top-level fields in which two states of a resource differ, without those that the server keeps itself."""
    names = [
        descriptor.name
        for descriptor in before.DESCRIPTOR.fields
        if descriptor.name not in SERVER_OWNED and _value(before, descriptor) != _value(after, descriptor)
    ]
    return FieldMask(paths=names)


def _paths(wanted: Message, mask: FieldMask, field: str) -> Iterable[str]:
    writable = _writable(wanted.DESCRIPTOR)
    if not mask.paths:
        return [descriptor.name for descriptor, _ in wanted.ListFields() if descriptor.name in writable]
    if "*" in mask.paths:
        if len(mask.paths) > 1:
            raise _refused(field, "*", "stands alone")
        return writable
    return [path for path in mask.paths if _known(wanted.DESCRIPTOR, path, field).split(".")[0] in writable]


@lru_cache(maxsize=512)
def _output_only(descriptor: Descriptor) -> frozenset[str]:
    return frozenset(each.name for each in descriptor.fields if each.name in SERVER_OWNED or _is_output_only(each))


@lru_cache(maxsize=512)
def _writable(descriptor: Descriptor) -> frozenset[str]:
    return frozenset(each.name for each in descriptor.fields) - _output_only(descriptor)


def _is_output_only(descriptor: FieldDescriptor) -> bool:
    behaviors = descriptor.GetOptions().Extensions[field_behavior_pb2.field_behavior]
    return field_behavior_pb2.FieldBehavior.OUTPUT_ONLY in behaviors


def _known(descriptor: Any, path: str, field: str) -> str:
    """Return the path if each of its steps is there and none leads through a list or a scalar."""
    here: Any = descriptor
    for step in path.split("."):
        child = here.fields_by_name.get(step) if here is not None else None
        if child is None:
            raise _refused(field, path, "no such field")
        here = child.message_type if not child.is_repeated else None
    return path


def _refused(field: str, path: str, why: str) -> InvalidArgument:
    return InvalidArgument(Reason.UNKNOWN_FIELD, f"{field}: {path}: {why}", fields=[Violation(field, f"{path}: {why}")], path=path)


def _copy(source: Message, target: Message, steps: list[str]) -> None:
    name, *rest = steps
    descriptor = source.DESCRIPTOR.fields_by_name[name]
    if rest:
        if source.HasField(name) or target.HasField(name):
            _copy(getattr(source, name), getattr(target, name), rest)
        return
    target.ClearField(name)
    if descriptor.is_repeated:
        getattr(target, name).MergeFrom(getattr(source, name))
    elif descriptor.message_type is not None:
        if source.HasField(name):
            getattr(target, name).CopyFrom(getattr(source, name))
    elif not descriptor.has_presence or source.HasField(name):
        setattr(target, name, getattr(source, name))


def _value(message: Message, descriptor: Any) -> object:
    present = not descriptor.has_presence or message.HasField(descriptor.name)
    return getattr(message, descriptor.name) if present else None
