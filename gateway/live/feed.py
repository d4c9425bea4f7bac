"""The feed: every event that somebody here may see, heard once by this process and handed to the readers of its tenant."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from itertools import count
from time import monotonic
from typing import Final, NoReturn

import structlog
from nats.aio.msg import Msg

from chassis import clock, contract
from chassis.errors import Reason, Refusal
from chassis.events.broker import Broker
from chassis.sealing.opening import Opener
from chassis.telemetry import metrics
from gateway.live.changes import Heard, Kind, opened, resync
from gateway.live.following import Following
from gateway.live.reader import Admission, Ending, Reader
from gateway.live.readers import Readers
from gateway.live.seal import Seal
from gateway.problems import Problem

PAUSE: Final = 1.0  # seconds between two looks at the readers
UNREAD: Final = 30  # looks from one at organisations that nobody reads any more to the next: most readers who leave come back
PACE: Final = 0.02  # seconds from one batch to the next: each costs the service a question, however many events share it
TURN: Final = 8  # events, some 1 ms, after which everybody else in this process gets a turn
ENDED: Final = Ending(Problem(401, Reason.TOKEN_INVALID, "The token's time or session ended."), 1008)
LEAVING: Final = Ending(None, 1012)  # "service restart": the reader comes back and finds another process

log = structlog.get_logger()


class Feed:
    """Who reads, and how far each service's stream was heard for them."""

    def __init__(self, broker: Broker, kinds: Mapping[str, Kind], openers: Mapping[str, Opener], seal: Seal) -> None:
        self._kinds = kinds
        self._openers = openers
        self._seal = seal
        self._readers = Readers()
        self._following = {
            service: Following(broker, service, self._readers, hear=partial(self._hear, service), lost=partial(self._lost, service))
            for service in sorted(openers)
        }

    @property
    def positions(self) -> dict[str, int]:
        """Return how far each service's stream was heard."""
        return {service: each.position for service, each in self._following.items()}

    async def run(self) -> NoReturn:
        """Hear the streams and look after the readers, until cancelled."""
        async with asyncio.TaskGroup() as group:
            for service, each in self._following.items():
                group.create_task(each.run(), name=f"live {service}")
            group.create_task(self._look_after(), name="live readers")
        raise AssertionError

    async def places(self, tenant_id: str, seen: Mapping[str, int]) -> Mapping[str, int]:
        """Return where the streams end now; nothing when they are heard for the organisation, as far as its reader has seen at least.

        A reader that comes from another process may have seen more than was heard here. Raise what NATS does.
        """
        if all(each.hears(tenant_id) and seen.get(service, 0) <= each.position for service, each in self._following.items()):
            return {}
        ends = await asyncio.gather(*(each.last() for each in self._following.values()))
        return dict(zip(self._following, ends, strict=True))

    def add(self, admission: Admission, places: Mapping[str, int]) -> Reader:
        """Return a reader that is handed every event from now on; `places` were asked for it a moment ago."""
        if not self._readers.tenants:
            self._go_on(places)
        since = {service: max(position, places.get(service, position)) for service, position in self.positions.items()}
        reader = Reader(admission, since)
        self._readers.add(reader)
        for each in self._following.values():
            if not each.hears(admission.tenant_id):
                each.again()
        return reader

    def remove(self, reader: Reader) -> None:
        """Hand no more events to the reader."""
        self._readers.remove(reader)

    def end_session(self, session_id: str) -> None:
        """End the streams of a session."""
        for reader in self._readers:
            if reader.admission.session_id == session_id:
                reader.end(ENDED)

    def leave(self) -> None:
        """End every stream, since this process ends."""
        for reader in self._readers:
            reader.end(LEAVING)

    def event_id(self, tenant_id: str, positions: Mapping[str, int]) -> str:
        """Return the id by which a reader of the tenant comes back to these positions."""
        return self._seal.close(positions, "event", tenant_id)

    def _go_on(self, places: Mapping[str, int]) -> None:
        """Leave out what happened while nobody read; who left meanwhile may have been behind it already."""
        for service, place in places.items():
            following = self._following[service]
            following.position = max(following.position, place)

    def _lost(self, service: str) -> None:
        """Begin with a stream that is a new one, as everybody who reads is told."""
        position = self._following[service].position
        for reader in self._readers:
            reader.since = {**reader.since, service: position}
        self._resync(self._readers, "lost")

    async def _hear(self, service: str, messages: Sequence[Msg]) -> None:
        """Show what came to those who may see it; while the keys to it cannot be had, they are told to read again instead."""
        next_at = monotonic() + PACE
        heard = [self._read(service, message) for message in messages]
        try:
            await self._openers[service].prepare(event.incoming for event in heard if event)
            for place, (message, event) in enumerate(zip(messages, heard, strict=True), start=1):
                if place % TURN == 0 or any(reader.has_waiting for reader in self._allowed(service, message)):
                    await asyncio.sleep(0)  # who was told gets its turn before it is told more
                await self._show(service, message, event or self._read(service, message))  # somebody may have come meanwhile
        except Refusal as refusal:
            log.warning("live_events_sealed", service=service, reason=str(refusal.reason))
            self._following[service].reach(messages[-1].metadata.sequence.stream)
            tenants = {_names(message)[1] for message in messages}
            self._resync([reader for tenant_id in tenants for reader in self._readers.of(tenant_id)], "sealed")
        await asyncio.sleep(next_at - monotonic())

    async def _show(self, service: str, message: Msg, event: Heard | None) -> None:
        """Show an event; from where the stream stands at it until its readers have it, nobody comes or goes."""
        shown = event is not None and await opened(event, self._openers[service])
        self._following[service].reach(message.metadata.sequence.stream)
        allowed = self._allowed(service, message)
        if event is None or not shown or not allowed:
            return
        subject, tenant_id = _names(message)
        show, positions = self._kinds[subject].show, self.positions
        change = show(event, self.event_id(tenant_id, positions))
        metrics.LIVE_EVENTS.inc(len(allowed))
        for reader in allowed:
            place = reader.place(positions)
            reader.offer(change if place is positions else show(event, self.event_id(tenant_id, place)))

    def _read(self, service: str, message: Msg) -> Heard | None:
        """Return the event, None if nobody here may see it."""
        return self._kinds[_names(message)[0]].read(message.headers, message.data) if self._allowed(service, message) else None

    def _allowed(self, service: str, message: Msg) -> list[Reader]:
        """Return who may see an event: those who were here when it happened."""
        subject, tenant_id = _names(message)
        kind, readers = self._kinds.get(subject), self._readers.of(tenant_id)
        if kind is None or not readers:
            return []
        place = message.metadata.sequence.stream
        return [reader for reader in readers if reader.since[service] < place and reader.admission.may_see(kind.permission)]

    def _resync(self, readers: Iterable[Reader], cause: str) -> None:
        for reader in readers:
            metrics.LIVE_RESYNCS.labels(cause).inc()
            reader.offer(resync(self.event_id(reader.admission.tenant_id, reader.place(self.positions))))

    async def _look_after(self) -> NoReturn:
        for looks in count(1):
            await asyncio.sleep(PAUSE)
            now, wall = monotonic(), clock.now().timestamp()
            for reader in self._readers:
                if wall >= reader.admission.expires:
                    reader.end(ENDED)
                reader.tick(now)
            if looks % UNREAD == 0:
                for each in self._following.values():
                    each.narrow()
        raise AssertionError


def _names(message: Msg) -> tuple[str, str]:
    """Return what kind of event a message is and whose."""
    subject, _, tenant_id = message.subject.removeprefix(contract.PREFIX).rpartition(".")
    return subject, tenant_id
