"""Answers that are rows: messages for whoever speaks gRPC, and at once the same JSON where the edge would make it of the message.

A servicer returns what these functions give without a look at it, so it need not know who asked.
"""

from collections.abc import Callable
from typing import Any, Generic, TypeVar, cast

import orjson
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from chassis.context import current
from chassis.database import Found
from chassis.json.encoders import GENERATED, Json
from chassis.listing import Page
from chassis.mapping import Mapping

M = TypeVar("M", bound=Message)


class JsonAnswer(Generic[M]):
    """An answer in JSON, with its etag if it has one, that can still become a message."""

    __slots__ = ("_json", "_message", "etag")

    def __init__(self, json: bytes, message: Callable[[], M], etag: str = "") -> None:
        self._json = json
        self._message = message
        self.etag = etag

    def json(self) -> bytes:
        """Return the bytes that the edge makes of the message."""
        return self._json

    def SerializeToString(self) -> bytes:
        """Return the message as bytes."""
        return self._message().SerializeToString()


def resource(mapping: Mapping[M], found: Found) -> M:
    """Return the answer with the resource of the one row that was found."""

    def message() -> M:
        return mapping.message(found.row(0))

    if not current().wants_json:
        return message()
    (written,) = mapping.json(found, 1)
    return cast("M", JsonAnswer(orjson.dumps(written), message, written.get("etag", "")))


class Pages(Generic[M]):
    """The answers of a list: `kind` has one repeated field, of the mapping's resources, and the next page token."""

    def __init__(self, kind: type[M], mapping: Mapping[Any]) -> None:
        described: Any = kind.DESCRIPTOR
        (rows,) = (field for field in described.fields if _is(field, mapping.kind))
        self._kind = kind
        self._mapping = mapping
        self._name: str = rows.name
        self._json_name: str = rows.json_name
        self._empty: Json = GENERATED.message(described)(kind())

    def answer(self, page: Page) -> M:
        """Return the answer with a page."""
        if not current().wants_json:
            return self._message(page)
        written = self._empty | {self._json_name: self._mapping.json(page.found, page.size), "nextPageToken": page.next_page_token}
        return cast("M", JsonAnswer(orjson.dumps(written), lambda: self._message(page)))

    def _message(self, page: Page) -> M:
        resources = map(self._mapping.message, page.rows)
        return self._kind(**{self._name: resources, "next_page_token": page.next_page_token})


def _is(field: FieldDescriptor, kind: type[Message]) -> bool:
    return field.message_type is not None and field.message_type.full_name == kind.DESCRIPTOR.full_name
