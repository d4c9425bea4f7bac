"""Requests out of the bytes of one connection, as llhttp reads them, bounded in bytes."""

from collections.abc import Callable
from typing import Final

import httptools

from chassis.errors import Reason
from gateway.exchange import Exchange, Line
from gateway.problems import Header, Problem
from gateway.requests import Request
from gateway.sockets import Opening, asked

Take = Callable[[Exchange, Request], None]
"""Is told of each request whose head was read."""

_METHODS: Final = {method.encode(): method for method in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")}


class TooLong(Exception):
    """There is more before or behind a body than any client needs."""


class Reader:
    """Reads one request after the other. `coming` is the last one, `in_head` says that the head of another has begun.

    `_unheard` counts what llhttp keeps or throws away without a word: half a header, an extension of a chunk.
    """

    def __init__(self, line: Line, take: Take, *, peer: str | None, max_head: int) -> None:
        self.in_head = False
        self.coming: Exchange | None = None
        self._line = line
        self._take = take
        self._peer = peer
        self._max_head = max_head
        self._parser = httptools.HttpRequestParser(self)
        self._url = b""
        self._headers: list[Header] = []
        self._size = 0
        self._unheard = 0

    def feed(self, data: bytes) -> bool:
        """Read on; say whether there can be more. What comes behind an upgrade is not read. Raise a Problem for what is no HTTP."""
        self._unheard += len(data)
        try:
            self._parser.feed_data(data)
            if self._unheard > self._max_head:
                self._count(self._unheard)
        except httptools.HttpParserUpgrade as upgrade:
            if self.coming is not None and self.coming.opening is not None:
                self.coming.opening.early = data[upgrade.args[0] :]
            return False
        except (httptools.HttpParserError, TooLong):
            if self._size > self._max_head:
                raise Problem(431, Reason.HEADERS_TOO_LARGE, "The head of the request is too long.") from None
            raise Problem(400, Reason.BODY_INVALID, "This is no HTTP/1.1 request.") from None
        return True

    # What llhttp says.

    def on_message_begin(self) -> None:
        """Begin to count anew."""
        self._url, self._headers, self._size, self._unheard, self.in_head = b"", [], 0, 0, True

    def on_url(self, url: bytes) -> None:
        """Take a part of the URL."""
        self._count(len(url))
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header. One behind a body counts as well, and means nothing."""
        self._count(len(name) + len(value))
        self._headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        """Tell of the request."""
        self.in_head = False
        self._unheard = 0
        found, self._headers = self._headers, []
        self._take(*self._request(found))

    def on_body(self, data: bytes) -> None:
        """Take a piece of the body, and no more for now when nobody asks for it."""
        self._unheard = 0
        if self.coming is not None:
            self.coming.take(data)
            if self.coming.full:
                self._line.hold()

    def on_message_complete(self) -> None:
        """Know the body whole."""
        self._unheard = 0
        if self.coming is not None:
            self.coming.complete()

    def _request(self, found: list[Header]) -> tuple[Exchange, Request]:
        """Return the request whose head was read. ValueError for what no two servers understand alike."""
        parser = self._parser
        version = parser.get_http_version()
        old = version == "1.0"
        if (version != "1.1" and not old) or (old and any(name == b"transfer-encoding" for name, _ in found)):
            raise ValueError("no HTTP/1.1")
        raw = parser.get_method()
        method = _METHODS.get(raw) or raw.decode("ascii")
        path, query = target(self._url)
        upgrade = parser.should_upgrade()
        opening = Opening(self._url, found) if upgrade and method == "GET" and not old and asked(found) else None
        last = old or upgrade or not parser.should_keep_alive()
        exchange = self.coming = Exchange(self._line, head=method == "HEAD", old=old, last=last, opening=opening)
        return exchange, Request(exchange, method, path, query, found, peer=self._peer, socket=opening is not None)

    def _count(self, size: int) -> None:
        self._size += size
        if self._size > self._max_head:
            raise TooLong


def target(url: bytes) -> tuple[str, str]:
    """Return path and query of a request's target as they were sent; raise ValueError or HttpParserError if it is none."""
    path, _, query = url.partition(b"?")
    if not url.startswith(b"/") or b"#" in url:
        parsed = httptools.parse_url(url)
        path, query = parsed.path or b"", parsed.query or b""
    return path.decode("ascii"), query.decode("latin-1")
