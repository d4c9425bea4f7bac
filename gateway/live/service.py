"""The live service: lets readers in, and gives each one what it missed and what comes."""

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Final

import nats.errors
import structlog
from google.protobuf.message import Message

from chassis import clock, contract
from chassis.errors import Code, Reason, Refusal
from chassis.events.broadcast import Broadcast
from chassis.events.broker import Broker
from chassis.sealing.opening import Opener
from chassis.telemetry import metrics
from chassis.tokens.bearer import bearer
from chassis.tokens.trust import Trust
from gateway.invalid import Invalid
from gateway.live import history
from gateway.live.changes import Change, Heard, Kind, opened, ready, resync
from gateway.live.feed import Feed
from gateway.live.history import GoneError
from gateway.live.reader import Admission, Reader
from gateway.live.seal import Seal, SealError
from gateway.live.tickets import Tickets
from gateway.problems import Problem
from gateway.settings import EdgeSettings

MAX_MISSED: Final = 1000  # events that a reader gets when it comes back; one that missed more reads its lists again sooner
CATCHING_UP: Final = 16  # readers whose past is read at the same time: after a restart they all come back at once

log = structlog.get_logger()


class Live:
    """The readers of one edge process."""

    def __init__(
        self, settings: EdgeSettings, trust: Trust, broker: Broker, kinds: Mapping[str, Kind], openers: Mapping[str, Opener]
    ) -> None:
        seal = Seal.of(settings.service_key_file)
        self.feed = Feed(broker, kinds, openers, seal)
        self.tickets = Tickets(seal, broker)
        self._settings = settings
        self._trust = trust
        self._broker = broker
        self._kinds = kinds
        self._openers = openers
        self._seal = seal
        self._draining = False
        self._open: dict[str, int] = {}
        self._catching_up = asyncio.Semaphore(CATCHING_UP)

    async def run(self) -> None:
        """Connect to NATS, however long it takes to come up, and hear events until cancelled; all else is served without it."""
        async with self._broker, Broadcast(self._broker, contract.session_ended(), self._end_session):
            await self.feed.run()

    def _end_session(self, event: Message) -> None:
        self._trust.end_session(event)
        self.feed.end_session(contract.at(event, contract.event(type(event)).key))

    def leave(self) -> None:
        """End every stream and open no more."""
        self._draining = True
        self.feed.leave()

    async def admitted(self, authorization: str) -> Admission:
        """Return whom a token admits; raise a 401."""
        try:
            token = bearer([authorization])
            return Admission.of(await self._trust.users.verify(token or ""))
        except Refusal as refusal:
            status = 401 if refusal.code is Code.UNAUTHENTICATED else 503
            raise Problem(status, refusal.reason, refusal.message, retry_after=None if status == 401 else 1) from None

    async def claimed(self, ticket: str) -> Admission:
        """Return whom a ticket admits; raise a 401."""
        try:
            admission = await self.tickets.claim(ticket)
        except (nats.errors.Error, OSError):
            raise _unavailable() from None
        return admission

    def positions(self, admission: Admission, last_event_id: str) -> Mapping[str, int] | None:
        """Return what a reader has seen, None for one that begins; an id of another organisation is none."""
        if not last_event_id:
            return None
        try:
            found: dict[str, int] = self._seal.open(last_event_id, "event", admission.tenant_id)
        except SealError:
            raise Invalid("is no id of an event that you got", field="last_event_id") from None
        return found

    async def enter(self, admission: Admission, seen: Mapping[str, int] | None) -> Reader:
        """Return a reader that hears everything from now on, and nothing that it has `seen`; it must `exit`.

        Raise a Problem when there are too many.
        """
        self._refuse_too_many(admission.user_id)
        self._count(admission.user_id, 1)
        try:
            return await self._entered(admission, seen or {})
        except BaseException:
            self._count(admission.user_id, -1)
            raise

    def exit(self, reader: Reader) -> None:
        """Forget a reader."""
        self.feed.remove(reader)
        self._count(reader.admission.user_id, -1)

    async def _entered(self, admission: Admission, seen: Mapping[str, int]) -> Reader:
        try:
            places = await self.feed.places(admission.tenant_id, seen)
        except (nats.errors.Error, OSError):
            raise _unavailable() from None
        if self._draining:
            raise _unavailable()
        self._refuse_ended(admission)
        return self.feed.add(admission, places)

    def _refuse_too_many(self, user_id: str) -> None:
        if sum(self._open.values()) >= self._settings.live_streams:
            raise Problem(503, Reason.OVERLOADED, "The edge has as many live streams as it can take.", retry_after=5)
        if self._open.get(user_id, 0) >= self._settings.live_streams_each:
            raise Problem(429, Reason.RATE_LIMITED, "You have too many live streams open.", retry_after=5)

    def _refuse_ended(self, admission: Admission) -> None:
        """Look once more at what may have ended while NATS was asked: from now on the feed sees to it."""
        if admission.session_id in self._trust.revoked:
            raise Problem(401, Reason.TOKEN_INVALID, "The session ended.")
        if clock.now().timestamp() >= admission.expires:
            raise Problem(401, Reason.TOKEN_INVALID, "The token expired.")

    def _count(self, user_id: str, change: int) -> None:
        self._open[user_id] = self._open.get(user_id, 0) + change
        if not self._open[user_id]:
            del self._open[user_id]

    async def changes(self, reader: Reader, seen: Mapping[str, int] | None) -> AsyncGenerator[list[Change], None]:
        """Yield what the reader missed since `seen`, then what comes, until the stream is ended."""
        now = reader.since
        began = {**now, **{service: seen[service] for service in now if service in seen}} if seen else now
        tenant_id = reader.admission.tenant_id
        yield [ready(self.feed.event_id(tenant_id, began))]
        if began != now:
            try:
                async with self._catching_up:
                    missed = await self._missed(reader.admission, began, now)
            except (GoneError, Refusal, nats.errors.Error, OSError) as error:
                log.info("live_resync", error_type=type(error).__name__)
                metrics.LIVE_RESYNCS.labels("missed").inc()
                missed = [resync(self.feed.event_id(tenant_id, now))]
            yield missed
        while batch := await reader.take():
            yield batch

    async def _missed(self, admission: Admission, began: Mapping[str, int], now: Mapping[str, int]) -> list[Change]:
        """Return the events between two positions that the reader may see; GoneError when they are too many."""
        found: list[Change] = []
        positions = dict(began)
        for service, until in now.items():
            events = history.missed(self._broker, service=service, tenant_id=admission.tenant_id, after=began[service], until=until)
            heard: list[tuple[Kind, Heard, str]] = []
            read = 0
            async for number, subject, message in events:
                read += 1
                if read > MAX_MISSED:
                    raise GoneError(service)
                positions[service] = number
                kind = self._kinds.get(subject.removeprefix(contract.PREFIX).rpartition(".")[0])
                if kind and admission.may_see(kind.permission) and (event := kind.read(message.headers, message.data)):
                    heard.append((kind, event, self.feed.event_id(admission.tenant_id, positions)))
            found += await self._shown(service, heard)
            positions[service] = until
        return found

    async def _shown(self, service: str, heard: Sequence[tuple[Kind, Heard, str]]) -> list[Change]:
        opener = self._openers[service]
        await opener.prepare(event.incoming for _, event, _ in heard)
        return [kind.show(event, event_id) for kind, event, event_id in heard if await opened(event, opener)]


def _unavailable() -> Problem:
    return Problem(503, Reason.UNAVAILABLE, "Live changes cannot be read now.", retry_after=1)
