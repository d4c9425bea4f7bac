"""Content types: what a body may be, and what a reader of a stream asks for."""

import re
from collections.abc import Mapping
from typing import Final
from urllib.parse import quote

from chassis.errors import Reason
from gateway.problems import Problem

JSON: Final = b"application/json"
EVENTS: Final = b"text/event-stream"
LINES: Final = b"application/jsonl"

_LINES: Final = (LINES, b"application/x-ndjson", b"application/jsonlines", b"application/x-jsonlines")
_OCTETS: Final = b"application/octet-stream"
_NOT_IN_NAMES: Final = re.compile(r'[^\x20-\x7e]|["%/\\]')
_SEPARATORS: Final = re.compile(r"[\x00-\x1f\x7f/\\]")


def require_json(headers: Mapping[bytes, bytes]) -> None:
    """Refuse a body of another type than JSON in UTF-8; one without a type is taken for it."""
    given = headers.get(b"content-type")
    if given is None or given == JSON:
        return
    kind, *parameters = (part.strip().lower() for part in given.split(b";"))
    if kind != JSON:
        raise Problem(415, Reason.MEDIA_TYPE_UNSUPPORTED, "The body must be application/json.")
    for parameter in parameters:
        name, _, value = parameter.partition(b"=")
        if name.strip() == b"charset" and value.strip().strip(b'"') not in {b"utf-8", b"utf8"}:
            raise Problem(415, Reason.MEDIA_TYPE_UNSUPPORTED, "The body must be in UTF-8.")


def wants_lines(headers: Mapping[bytes, bytes]) -> bool:
    """Say whether the reader of a stream asks for JSON lines rather than server-sent events."""
    accept = headers.get(b"accept", b"").lower()
    return any(kind in accept for kind in _LINES)


def of_raw(content_type: str) -> bytes:
    """Return the type of an HttpBody as a header; one that cannot stand in a header is no type."""
    return content_type.encode() if content_type and content_type.isascii() and content_type.isprintable() else _OCTETS


def attachment(file_name: str) -> bytes:
    """Return Content-Disposition for a file to be kept: a plain name for all, and the whole one for who reads RFC 8187."""
    plain = _NOT_IN_NAMES.sub("_", file_name)
    if plain == file_name:
        return f'attachment; filename="{plain}"'.encode()
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(_SEPARATORS.sub('_', file_name), safe='')}".encode()


def insist_on_json(headers: Mapping[bytes, bytes]) -> None:
    """Refuse a call of a page that does not say JSON: a form of another site cannot say it (reference/identity.md 3.10)."""
    if b"content-type" not in headers:
        raise Problem(415, Reason.MEDIA_TYPE_UNSUPPORTED, "A call with cookies must be application/json.")
    require_json(headers)
