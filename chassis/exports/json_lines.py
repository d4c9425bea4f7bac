"""JSON Lines: each resource as a call for it alone would answer, or the chosen fields of it."""

from collections.abc import Iterable, Sequence
from typing import Any, Final

import orjson
from google.protobuf.message import Message

from chassis.json.encoders import Json

CONTENT_TYPE: Final = "application/jsonl"
_TIMESTAMP: Final = "google.protobuf.Timestamp"

Pick = dict[str, Any]
"""Fields by their JSON names, with what is picked inside of each; an empty one stands for the whole."""


class JsonLines:
    """The lines of one file."""

    def __init__(self, kind: type[Message], paths: Sequence[str]) -> None:
        """Choose fields by their paths, all for none. Raises KeyError with a path that is none."""
        described: Any = kind.DESCRIPTOR
        self._pick: Pick = {}
        for path in paths:
            if path == "*":
                self._pick.clear()
                break
            _add(self._pick, described, path)

    def lines(self, values: Iterable[Json]) -> bytes:
        """Return resources, each on a line of its own."""
        return b"".join(orjson.dumps(_picked(value, self._pick), option=orjson.OPT_APPEND_NEWLINE) for value in values)


def _add(pick: Pick, descriptor: Any, path: str) -> None:
    place, inside = pick, descriptor
    *parents, last = path.split(".")
    for name in parents:
        field = inside.fields_by_name.get(name)
        if field is None or field.message_type is None or field.message_type.full_name == _TIMESTAMP:
            raise KeyError(path)
        if place.get(field.json_name) == {}:
            return
        place, inside = place.setdefault(field.json_name, {}), field.message_type
    if last not in inside.fields_by_name:
        raise KeyError(path)
    place[inside.fields_by_name[last].json_name] = {}


def _picked(value: Any, pick: Pick) -> Any:
    if not pick:
        return value
    if isinstance(value, list):
        return [_picked(each, pick) for each in value]
    return {name: _picked(value[name], inner) for name, inner in pick.items() if name in value}
