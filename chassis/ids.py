"""Ids: UUIDv7 (RFC 9562) as text, so that new rows stand at the end of their index."""

from collections.abc import Callable
from contextvars import ContextVar
from typing import Final
from uuid import UUID

import uuid_utils

from chassis.errors import NotFound, Reason

TEXT_LENGTH: Final = 36


def _uuid7() -> str:
    return str(uuid_utils.uuid7())


source: ContextVar[Callable[[], str]] = ContextVar("ids", default=_uuid7)


def new() -> str:
    """Return a fresh id."""
    return source.get()()


def valid(text: str) -> bool:
    """Say whether the text is an id in its canonical form: lower case, with hyphens."""
    if len(text) != TEXT_LENGTH:
        return False
    try:
        return str(UUID(text)) == text
    except ValueError:
        return False


def parse(text: str) -> str:
    """Return the id that a caller names. What cannot be an id is the id of nothing: NOT_FOUND."""
    if not valid(text):
        raise NotFound(Reason.NOT_FOUND, "no such record")
    return text
