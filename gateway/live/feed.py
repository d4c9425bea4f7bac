"""The feed: every event that may be shown, heard once by this process and handed to the readers of its tenant.

One consumer a stream and process costs less than one a tenant: a message that nobody here reads is dropped by its subject.
"""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from time import monotonic
from typing import Final, NoReturn

import nats.errors
import structlog
from nats.aio.msg import Msg
from nats.js.api import ConsumerConfig, DeliverPolicy

from chassis import clock, contract, names
from chassis.errors import Reason, Refusal
from chassis.events.broker import Broker
from chassis.events.ordered import Ordered
from chassis.sealing.opening import Opener
from chassis.telemetry import metrics
from gateway.live.changes import Heard, Kind, opened, resync
from gateway.live.reader import Admission, Ending, Reader
from gateway.live.seal import Seal
from gateway.problems import Problem

PAUSE: Final = 1.0  # seconds before another try, and between two looks at the readers
PACE: Final = 0.02  # seconds from one batch to the next: each costs the service a question, however many events share it
TURN: Final = 8  # events, some 1 ms, after which everybody else in this process gets a turn
ENDED: Final = Ending(Problem(401, Reason.TOKEN_INVALID, "The token's time or session ended."), 1008)
LEAVING: Final = Ending(None, 1012)  # "service restart": the reader comes back and finds another process

log = structlog.get_logger()


class Feed:
    """Readers by tenant, and how far each service's stream was heard."""

    def __init__(self, broker: Broker, kinds: Mapping[str, Kind], openers: Mapping[str, Opener], seal: Seal) -> None:
        self._broker = broker
        self._kinds = kinds
        self._openers = openers
        self._seal = seal
        self._readers: dict[str, set[Reader]] = {}
        self._services = sorted(openers)
        self.positions: dict[str, int] = {}

    @property
    def ready(self) -> bool:
        """Say whether every stream was found once; what comes after that is missed by nobody."""
        return len(self.positions) == len(self._services)

    async def run(self) -> NoReturn:
        """Hear the streams and look after the readers, until cancelled."""
        async with asyncio.TaskGroup() as group:
            for service in self._services:
                group.create_task(self._follow(service), name=f"live {service}")
            group.create_task(self._look_after(), name="live readers")
        raise AssertionError

    def add(self, admission: Admission) -> Reader:
        """Return a reader that is handed every event from now on."""
        reader = Reader(admission, dict(self.positions))
        self._readers.setdefault(admission.tenant_id, set()).add(reader)
        metrics.LIVE_STREAMS.inc()
        return reader

    def remove(self, reader: Reader) -> None:
        """Hand no more events to the reader."""
        readers = self._readers[reader.admission.tenant_id]
        readers.remove(reader)
        if not readers:
            del self._readers[reader.admission.tenant_id]
        metrics.LIVE_STREAMS.dec()

    def end_session(self, session_id: str) -> None:
        """End the streams of a session."""
        for reader in self._all():
            if reader.admission.session_id == session_id:
                reader.end(ENDED)

    def leave(self) -> None:
        """End every stream, since this process ends."""
        for reader in self._all():
            reader.end(LEAVING)

    def event_id(self, tenant_id: str, positions: Mapping[str, int]) -> str:
        """Return the id by which a reader of the tenant comes back to these positions."""
        return self._seal.close(positions, "event", tenant_id)

    def _all(self) -> list[Reader]:
        return [reader for readers in self._readers.values() for reader in readers]

    async def _follow(self, service: str) -> NoReturn:
        stream = names.stream(service)
        ordered = Ordered(
            self._broker, stream=stream, subjects=f"{contract.PREFIX}{service}.>", hear=lambda messages: self._hear(service, messages)
        )
        while True:
            try:
                await ordered.listen(await self._start(service, stream))
            except (nats.errors.Error, OSError) as error:
                log.warning("live_feed_interrupted", stream=stream, error_type=type(error).__name__)
            await asyncio.sleep(PAUSE)

    async def _start(self, service: str, stream: str) -> ConsumerConfig:
        """Go on behind what was heard last; a stream that is shorter than that is a new one, of which nobody knows what was lost."""
        last = (await self._broker.jetstream.stream_info(stream)).state.last_seq
        known = self.positions.setdefault(service, last)
        if known > last:
            self.positions[service] = last
            self._resync(self._all(), "lost")
        return ConsumerConfig(deliver_policy=DeliverPolicy.BY_START_SEQUENCE, opt_start_seq=self.positions[service] + 1)

    async def _hear(self, service: str, messages: Sequence[Msg]) -> None:
        """Show what came to those who may see it; while the keys to it cannot be had, they are told to read again instead."""
        next_at = monotonic() + PACE
        heard = [self._read(message) for message in messages]
        try:
            await self._openers[service].prepare(event.incoming for event in heard if event)
            for place, (message, event) in enumerate(zip(messages, heard, strict=True), start=1):
                if place % TURN == 0 or any(reader.has_waiting for reader in self._allowed(message)):
                    await asyncio.sleep(0)  # who was told gets its turn before it is told more
                await self._show(service, message, event or self._read(message))  # somebody may have come meanwhile
        except Refusal as refusal:
            log.warning("live_events_sealed", service=service, reason=str(refusal.reason))
            self.positions[service] = messages[-1].metadata.sequence.stream
            tenants = {_names(message)[1] for message in messages}
            self._resync([reader for tenant_id in tenants for reader in self._readers.get(tenant_id, ())], "sealed")
        await asyncio.sleep(next_at - monotonic())

    async def _show(self, service: str, message: Msg, event: Heard | None) -> None:
        """Show an event; from where the stream stands at it until its readers have it, nobody comes or goes."""
        shown = event is not None and await opened(event, self._openers[service])
        self.positions[service] = message.metadata.sequence.stream
        allowed = self._allowed(message)
        if event is None or not shown or not allowed:
            return
        subject, tenant_id = _names(message)
        change = self._kinds[subject].show(event, self.event_id(tenant_id, self.positions))
        metrics.LIVE_EVENTS.inc(len(allowed))
        for reader in allowed:
            reader.offer(change)

    def _read(self, message: Msg) -> Heard | None:
        """Return the event, None if nobody here may see it."""
        return self._kinds[_names(message)[0]].read(message.headers, message.data) if self._allowed(message) else None

    def _allowed(self, message: Msg) -> list[Reader]:
        subject, tenant_id = _names(message)
        kind, readers = self._kinds.get(subject), self._readers.get(tenant_id)
        return [reader for reader in readers if reader.admission.may_see(kind.permission)] if kind and readers else []

    def _resync(self, readers: Iterable[Reader], cause: str) -> None:
        for reader in readers:
            metrics.LIVE_RESYNCS.labels(cause).inc()
            reader.offer(resync(self.event_id(reader.admission.tenant_id, self.positions)))

    async def _look_after(self) -> NoReturn:
        while True:
            await asyncio.sleep(PAUSE)
            now, wall = monotonic(), clock.now().timestamp()
            for reader in self._all():
                if wall >= reader.admission.expires:
                    reader.end(ENDED)
                reader.tick(now)


def _names(message: Msg) -> tuple[str, str]:
    """Return what kind of event a message is and whose."""
    subject, _, tenant_id = message.subject.removeprefix(contract.PREFIX).rpartition(".")
    return subject, tenant_id
