"""One request and its answer on a connection that stands, with a bound on everything that the other side decides."""

import contextlib
import ssl
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final, Literal

import httpcore

from chassis.egress.causes import Cause, Stopped
from chassis.egress.urls import Target
from chassis.egress.uses import Use

Method = Literal["GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE", "PROPFIND", "PROPPATCH", "REPORT", "MKCOL", "MKCALENDAR"]

HEAD_BYTES: Final = 32 * 1024
HEAD_FIELDS: Final = 100

_OURS: Final = frozenset(
    {
        "accept-encoding",
        "connection",
        "content-length",
        "expect",
        "host",
        "keep-alive",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
"""Headers that say how the exchange goes, which is not for callers to say."""

_WITH_CONTENT: Final = frozenset({"POST", "PUT", "PATCH"})

Headers = Mapping[str, str]
Guard = Callable[[], AbstractContextManager[None]]


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back, whatever its status: a redirect is an answer, and following it is another request. Header names are lower case."""

    status: int
    headers: Headers
    content: bytes


class Streamed:
    """An answer whose content is read piece by piece, once, inside the block that it was given to."""

    def __init__(self, status: int, headers: Headers, pieces: AsyncIterator[bytes], guard: Guard) -> None:
        self.status = status
        self.headers = headers
        self._pieces = pieces
        self._guard = guard

    async def __aiter__(self) -> AsyncIterator[bytes]:
        with self._guard():
            async for piece in self._pieces:
                yield piece


class _Connection(httpcore.AsyncHTTP11Connection):
    """HTTP/1.1 that does not collect more of a head, of a chunk's length or of trailers than this before it gives up."""

    MAX_INCOMPLETE_EVENT_SIZE = HEAD_BYTES


@dataclass(frozen=True, slots=True)
class Sent:
    """A request as its caller means it."""

    method: Method
    headers: Headers
    content: bytes


async def exchange(stream: httpcore.AsyncNetworkStream, target: Target, sent: Sent, use: Use, guard: Guard) -> Streamed:
    """Send a request and return its answer once the head is there; Stopped if it breaks a bound."""
    url = httpcore.URL(scheme=target.scheme, host=target.host, port=target.port, target=target.path)
    waits = {"read": use.silence_seconds, "write": use.silence_seconds}
    request = httpcore.Request(sent.method, url, headers=list(_headers(target, sent)), content=sent.content, extensions={"timeout": waits})
    with _stops():
        response = await _Connection(url.origin, stream).handle_async_request(request)
    headers = _read(response)
    _check(response.status, headers)
    if sent.method != "HEAD" and int(headers.get("content-length", "0")) > use.size:
        raise Stopped(Cause.SIZE)
    return Streamed(response.status, headers, _bounded(response, use.size), guard)


def _headers(target: Target, sent: Sent) -> Iterator[tuple[str, str]]:
    given = {name.lower(): value for name, value in sent.headers.items()}
    if meddling := _OURS & given.keys():
        raise ValueError(f"not for callers to set: {sorted(meddling)}")
    yield "host", target.authority
    yield from ({"user-agent": "Kith", "accept": "*/*"} | given).items()
    yield "accept-encoding", "identity"
    yield "connection", "close"
    if sent.content or sent.method in _WITH_CONTENT:
        yield "content-length", str(len(sent.content))


def _read(response: httpcore.Response) -> Headers:
    """Return the headers; those of one name become one line, as RFC 9110, 5.3 allows."""
    if len(response.headers) > HEAD_FIELDS or sum(len(name) + len(value) for name, value in response.headers) > HEAD_BYTES:
        raise Stopped(Cause.HEAD)
    headers: dict[str, str] = {}
    for raw_name, raw_value in response.headers:
        name, value = raw_name.decode("ascii").lower(), raw_value.decode("latin-1")
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return headers


def _check(status: int, headers: Headers) -> None:
    if status == HTTPStatus.SWITCHING_PROTOCOLS:
        raise Stopped(Cause.PROTOCOL)
    if headers.get("content-encoding", "identity").lower() != "identity":
        raise Stopped(Cause.ENCODING)


async def _bounded(response: httpcore.Response, size: int) -> AsyncIterator[bytes]:
    left = size
    with _stops():
        async for piece in response.aiter_stream():
            left -= len(piece)
            if left < 0:
                raise Stopped(Cause.SIZE)
            yield piece


@contextlib.contextmanager
def _stops() -> Iterator[None]:
    """Turn what the library raises into a cause; what it finds wrong in our own request stays an error of ours."""
    try:
        yield
    except httpcore.TimeoutException:
        raise Stopped(Cause.TIME) from None
    except httpcore.RemoteProtocolError as error:
        raise Stopped(_broken(error)) from None
    except httpcore.NetworkError:
        raise Stopped(Cause.CONNECTION) from None
    except ssl.SSLError:  # an alert after the handshake, which the library lets through: some say only then that they want our certificate
        raise Stopped(Cause.TLS) from None


def _broken(error: httpcore.RemoteProtocolError) -> Cause:
    """Tell what is longer than _Connection collects from what is no HTTP; h11 gives the former the status of a server's refusal."""
    too_large = getattr(error.__cause__, "error_status_hint", 0) == HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE
    return Cause.HEAD if too_large else Cause.PROTOCOL
