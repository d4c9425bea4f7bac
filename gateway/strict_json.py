"""JSON that is read in one way only: RFC 8259 without the choices that it leaves to a reader."""

import json
from typing import Any, Final

import orjson

from chassis.errors import Reason
from gateway.invalid import Invalid

MAX_DEPTH: Final = 100
"""Deepest nesting of objects and arrays, as google's own reader has it."""


def loads(text: bytes) -> Any:
    """Read a document.

    Beside what orjson refuses (NaN, lone surrogates, trailing text), duplicate keys, NUL and deep nesting are refused.
    """
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise Invalid(f"the body is not JSON: {error}", reason=Reason.BODY_INVALID) from None
    if text.count(b"{") + text.count(b"[") > MAX_DEPTH and _depth(value) > MAX_DEPTH:
        raise Invalid(f"the body is nested deeper than {MAX_DEPTH} levels", reason=Reason.BODY_INVALID)
    _refuse_duplicates(text, value)
    return value


def _refuse_duplicates(text: bytes, value: Any) -> None:
    r"""Refuse a key that stands twice in one object, and NUL.

    orjson keeps the last of two keys in silence. A document without \u escapes has as many colons as its value written again,
    less at least one for each key that was dropped; so two fast counts find what only the slow reader can see as it reads.
    """
    if b"\\u" in text:
        json.loads(text, object_pairs_hook=_unique)
        if b"\\u0000" in text and _has_nul(value):
            raise Invalid("NUL is not allowed", reason=Reason.BODY_INVALID)
    elif text.count(b":") != orjson.dumps(value).count(b":"):
        raise Invalid("the body has a key twice in one object", reason=Reason.BODY_INVALID)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise Invalid("the body has a key twice in one object", reason=Reason.BODY_INVALID)
    return found


def _depth(value: Any) -> int:
    """Return the nesting; level by level, since a recursive function would meet Python's own limit first."""
    depth = 0
    level = [value]
    while level := [each for each in level if isinstance(each, dict | list)]:
        depth += 1
        level = [child for each in level for child in (each.values() if isinstance(each, dict) else each)]
    return depth


def _has_nul(value: Any) -> bool:
    if isinstance(value, str):
        return "\0" in value
    if isinstance(value, dict):
        return any("\0" in key or _has_nul(each) for key, each in value.items())
    return isinstance(value, list) and any(map(_has_nul, value))
