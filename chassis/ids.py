"""Ids: UUIDv7 (RFC 9562) as text, so that new rows stand at the end of their index."""

import re
from collections.abc import Callable
from contextvars import ContextVar
from typing import Final

import uuid_utils

from chassis.errors import NotFound, Reason

_FORM: Final = re.compile("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def _uuid7() -> str:
    return str(uuid_utils.uuid7())


source: ContextVar[Callable[[], str]] = ContextVar("ids", default=_uuid7)


def new() -> str:
    """Return a fresh id."""
    return source.get()()


def valid(text: str) -> bool:
    """Say whether the text is an id in its canonical form: lower case, with hyphens."""
    return _FORM.fullmatch(text) is not None


def parse(text: str) -> str:
    """Return the id that a caller names. What cannot be an id is the id of nothing: NOT_FOUND."""
    if not valid(text):
        raise NotFound(Reason.NOT_FOUND, "no such record")
    return text
