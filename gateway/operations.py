"""Operations: one HTTP binding of one RPC from request to reply. Unary calls here; streams and uploads in their own modules."""

from dataclasses import dataclass, fields
from typing import Protocol, Self

from gateway import calls, headers, media
from gateway.admission import Gate
from gateway.bindings import Given, RequestBinding
from gateway.browser import Browser
from gateway.calls import Rpc
from gateway.contract import Method
from gateway.replies import Reply, ReplyEncoder, Stream
from gateway.requests import Request
from gateway.settings import EdgeSettings
from kith.common.v1.carrier_pb2 import CarriedAnswer

REPLAYED = (b"idempotency-replayed", b"true")


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """How much and how long: bytes of bodies, seconds of calls, and how many of these at once."""

    body_bytes: int
    upload_bytes: int
    body_seconds: float
    call_seconds: float
    concurrent_calls: int
    concurrent_writes: int
    upload_seconds: float

    @classmethod
    def of(cls, settings: EdgeSettings) -> Self:
        """Return the bounds that the settings give."""
        return cls(**{each.name: getattr(settings, each.name) for each in fields(cls)})


class Operation(Protocol):
    """What answers the requests of one route."""

    method: Method
    route: str

    async def answer(self, request: Request, segments: list[str]) -> Reply | Stream:
        """Return the answer, or raise Problem or Invalid."""


class Common:
    """What every kind of operation is made of."""

    def __init__(
        self,
        method: Method,
        route: str,
        *,
        binding: RequestBinding,
        replies: ReplyEncoder,
        rpc: Rpc,
        browser: Browser,
        bounds: Bounds,
        gate: Gate,
    ) -> None:
        self.method = method
        self.route = route
        self._binding = binding
        self._replies = replies
        self._rpc = rpc
        self._browser = browser
        self._bounds = bounds
        self._gate = gate
        self._uses_cookies = binding.reads_cookies or replies.touches_cookies
        self._seconds = method.policy.deadline or bounds.call_seconds

    def _is_page(self, request: Request) -> bool:
        """Say whether a page of ours calls, with cookies that this operation reads or sets."""
        if not self._uses_cookies or not self._browser.calls(request.headers):
            return False
        media.insist_on_json(request.headers)
        return True

    def _given(self, request: Request, body: bytes, *, to_page: bool) -> Given:
        return Given(
            query=request.query,
            body=body,
            content_type=headers.plain(request.headers, b"content-type", headers.MAX_VALUE),
            etag=headers.if_match(request.headers) if b"if-match" in request.headers else None,
            cookies=request.headers if to_page else {},
        )

    async def _message(self, request: Request, segments: list[str], *, to_page: bool) -> bytes:
        """Read the body and return the request message."""
        if request.has_body() and self._binding.raw is None:
            media.require_json(request.headers)
        body = await request.body(limit=self._bounds.body_bytes, seconds=self._bounds.body_seconds)
        return self._binding.message(segments, self._given(request, body, to_page=to_page)).SerializeToString()


class Unary(Common):
    """One message in, one message out."""

    async def answer(self, request: Request, segments: list[str]) -> Reply:
        """Call the RPC and return its answer."""
        self._gate.check()
        to_page = self._is_page(request)
        message = await self._message(request, segments, to_page=to_page)
        async with self._gate:
            answer = await self._rpc.unary(request, message, seconds=self._seconds, wants_json=self._replies.takes_json)
        reply = self._reply(answer, to_page=to_page)
        if calls.REPLAYED in answer.trailing:
            reply.headers.append(REPLAYED)
        return reply

    def _reply(self, answer: CarriedAnswer, *, to_page: bool) -> Reply:
        if answer.is_json:
            return self._replies.of_json(answer.message, answer.etag)
        return self._replies.reply(answer.message, to_page=to_page)
