"""The update mask of a PATCH that brings none: what its body names is what it changes."""

from collections.abc import Collection
from typing import Any, Final

from google.protobuf.descriptor import Descriptor, FieldDescriptor

from chassis.json import kinds
from gateway.query import Path

_PRECONDITION: Final = "etag"


def mask_paths(descriptor: Descriptor, tree: dict[str, Any], *, skip: Collection[Path]) -> list[str]:
    """Return the paths that a body names, null included.

    Lists, maps, Structs and empty objects count as a whole. What the URL binds is left out, and so is the etag: it is a condition and
    no content.
    """
    paths = _paths(descriptor, tree, ())
    return [".".join(path) for path in paths if path not in skip and path != (_PRECONDITION,)]


def _paths(descriptor: Descriptor, tree: dict[str, Any], prefix: Path) -> list[Path]:
    found: list[Path] = []
    for name, value in tree.items():
        inner = _inner(descriptor.fields_by_name[name])
        if inner is not None and value:
            found.extend(_paths(inner, value, (*prefix, name)))
        else:
            found.append((*prefix, name))
    return found


def _inner(field: FieldDescriptor) -> Descriptor | None:
    """Return the message that a mask can go into."""
    kind = field.message_type
    return kind if kind is not None and not field.is_repeated and not kinds.is_one_value(kind) else None
