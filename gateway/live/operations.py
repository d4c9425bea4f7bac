"""The two RPCs that the edge itself answers: the stream of changes, and the ticket that opens one."""

from collections.abc import AsyncGenerator, Callable, Mapping
from functools import partial
from typing import Any, Final

from chassis.errors import Reason
from gateway import headers
from gateway.live.forms import Form, form
from gateway.live.reader import Admission, Reader
from gateway.live.service import Live
from gateway.operations import Common, Operation
from gateway.problems import Problem
from gateway.replies import LiveStream, Reply
from gateway.requests import Request
from kith.edge.v1 import live_pb2

_SERVICE: Final = live_pb2.DESCRIPTOR.services_by_name["EventService"].full_name


def own(live: Live) -> Mapping[str, Callable[..., Operation]]:
    """Return what makes the operations of the RPCs that no other process serves, by their full name."""
    return {f"{_SERVICE}.StreamEvents": partial(StreamEvents, live), f"{_SERVICE}.IssueTicket": partial(IssueTicket, live)}


class IssueTicket(Common):
    """Issues a ticket for the caller."""

    def __init__(self, live: Live, *given: Any, **parts: Any) -> None:
        super().__init__(*given, **parts)
        self._live = live

    async def answer(self, request: Request, segments: list[str]) -> Reply:
        """Return a ticket that is worth the caller's token."""
        await self._message(request, segments, to_page=False)
        admission = await self._live.admitted(_authorization(request))
        ticket, expires = self._live.tickets.issue(admission)
        answer = live_pb2.IssueTicketResponse(ticket=ticket)
        answer.expire_time.FromSeconds(expires)
        return self._replies.reply(answer.SerializeToString(), to_page=False)


class StreamEvents(Common):
    """Streams changes to one reader."""

    def __init__(self, live: Live, *given: Any, **parts: Any) -> None:
        super().__init__(*given, **parts)
        self._live = live

    async def answer(self, request: Request, segments: list[str]) -> LiveStream:
        """Let the reader in and return its stream."""
        asked = live_pb2.StreamEventsRequest.FromString(await self._message(request, segments, to_page=False))
        admission = await self._admission(request, asked.ticket)
        last = headers.plain(request.headers, b"last-event-id", headers.MAX_VALUE) or asked.last_event_id
        seen = self._live.positions(admission, last)
        written = form(request)
        reader = await self._live.enter(admission, seen)
        return LiveStream(
            self._pieces(request, reader, seen, written),
            [(b"content-type", written.content_type), (b"x-accel-buffering", b"no")],
            leave=partial(self._live.exit, reader),
            cut=reader.cut,
            code=lambda: reader.ending.code if reader.ending else 1000,
        )

    async def _admission(self, request: Request, ticket: str) -> Admission:
        """Take the token; without one the ticket, which is then used up."""
        if b"authorization" in request.headers or not ticket:
            return await self._live.admitted(_authorization(request))
        return await self._live.claimed(ticket)

    async def _pieces(self, request: Request, reader: Reader, seen: Mapping[str, int] | None, written: Form) -> AsyncGenerator[bytes, None]:
        async for batch in self._live.changes(reader, seen):
            for piece in written.pieces(batch):
                yield piece
        last = written.end(request, reader.ending) if reader.ending else b""
        if last:
            yield last


def _authorization(request: Request) -> str:
    if b"authorization" not in request.headers:
        raise Problem(401, Reason.TOKEN_MISSING, "The call needs a token.")
    return headers.plain(request.headers, b"authorization", headers.MAX_VALUE)
