"""The feed: every event that may be shown, heard once by this process and handed to the readers of its tenant.

One consumer a stream and process costs less than one a tenant: a message that nobody here reads is dropped by its subject.
"""

import asyncio
from collections.abc import Mapping
from time import monotonic
from typing import Final, NoReturn

import nats.errors
import structlog
from nats.aio.msg import Msg
from nats.js.api import ConsumerConfig, DeliverPolicy

from chassis import clock, contract, names
from chassis.errors import Reason
from chassis.events.broker import Broker
from chassis.events.ordered import Ordered
from chassis.telemetry import metrics
from gateway.live.changes import Kind, resync
from gateway.live.reader import Ending, Reader
from gateway.live.seal import Seal
from gateway.problems import Problem

PAUSE: Final = 1.0  # seconds before another try, and between two looks at the readers
ENDED: Final = Ending(Problem(401, Reason.TOKEN_INVALID, "The token's time or session ended."), 1008)
LEAVING: Final = Ending(None, 1012)  # "service restart": the reader comes back and finds another process

log = structlog.get_logger()


class Feed:
    """Readers by tenant, and how far each service's stream was heard."""

    def __init__(self, broker: Broker, kinds: Mapping[str, Kind], seal: Seal) -> None:
        self._broker = broker
        self._kinds = kinds
        self._seal = seal
        self._readers: dict[str, set[Reader]] = {}
        self._services = sorted({subject.partition(".")[0] for subject in kinds})
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

    def add(self, reader: Reader) -> None:
        """Hand events to the reader from now on."""
        self._readers.setdefault(reader.admission.tenant_id, set()).add(reader)
        metrics.LIVE_STREAMS.inc()

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
            self._broker, stream=stream, subjects=f"{contract.PREFIX}{service}.>", hear=lambda message: self._hear(service, message)
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
            for reader in self._all():
                metrics.LIVE_RESYNCS.labels("lost").inc()
                reader.offer(resync(self.event_id(reader.admission.tenant_id, self.positions)))
        return ConsumerConfig(deliver_policy=DeliverPolicy.BY_START_SEQUENCE, opt_start_seq=self.positions[service] + 1)

    def _hear(self, service: str, message: Msg) -> None:
        self.positions[service] = message.metadata.sequence.stream
        subject, _, tenant_id = message.subject.removeprefix(contract.PREFIX).rpartition(".")
        kind, readers = self._kinds.get(subject), self._readers.get(tenant_id)
        if kind is None or readers is None:
            return
        allowed = [reader for reader in readers if reader.admission.may_see(kind.permission)]
        if not allowed:
            return
        change = kind.transcode(message.headers, message.data, self.event_id(tenant_id, self.positions))
        if change is None:
            return
        metrics.LIVE_EVENTS.inc(len(allowed))
        for reader in allowed:
            reader.offer(change)

    async def _look_after(self) -> NoReturn:
        while True:
            await asyncio.sleep(PAUSE)
            now, wall = monotonic(), clock.now().timestamp()
            for reader in self._all():
                if wall >= reader.admission.expires:
                    reader.end(ENDED)
                reader.tick(now)
