"""The three forms of one stream: server-sent events, JSON lines, messages of a WebSocket."""

import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

from gateway import media
from gateway.live.changes import Change
from gateway.live.reader import Ending
from gateway.requests import Request

RETRY: Final = (500, 5000)  # milliseconds after which a reader comes back: spread, so that they do not come all at once


@dataclass(frozen=True, slots=True)
class Form:
    """How changes are written, and how the end of the stream is."""

    content_type: bytes
    pieces: Callable[[list[Change]], Iterable[bytes]]
    end: Callable[[Request, Ending], bytes]


def form(request: Request) -> Form:
    """Return the form that the request asks for."""
    if request.socket:
        return _MESSAGES
    return _LINES if media.wants_lines(request.headers) else _EVENTS


def _events(changes: list[Change]) -> Iterable[bytes]:
    """Several changes are one piece: one write costs as much as another."""
    return (b"".join(change.frame for change in changes),)


def _lines(changes: list[Change]) -> Iterable[bytes]:
    return (b"".join(change.json + b"\n" for change in changes),)


def _messages(changes: list[Change]) -> Iterable[bytes]:
    """Leave signs of life out: a WebSocket has its own."""
    return (change.json for change in changes if change.json)


def _end_of_events(request: Request, ending: Ending) -> bytes:
    if ending.problem is None:
        return b"retry: %d\n\n" % random.randint(*RETRY)  # noqa: S311 - nothing is to be guessed
    return b"event: error\ndata: " + request.document(ending.problem) + b"\n\n"


def _end_as_object(request: Request, ending: Ending) -> bytes:
    return b'{"error":' + request.document(ending.problem) + b"}" if ending.problem else b""


def _end_of_lines(request: Request, ending: Ending) -> bytes:
    return _end_as_object(request, ending) + b"\n"


_EVENTS: Final = Form(media.EVENTS, _events, _end_of_events)
_LINES: Final = Form(media.LINES, _lines, _end_of_lines)
_MESSAGES: Final = Form(media.JSON, _messages, _end_as_object)
