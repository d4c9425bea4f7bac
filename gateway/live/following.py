"""One service's stream, heard in order and without a gap for the organisations that somebody reads; not at all while nobody does.

What nobody here reads does not come: the subjects of events end in their organisation.
"""

import asyncio
from collections.abc import Callable, Collection
from typing import Final, NoReturn

import nats.errors
import structlog
from nats.js.api import ConsumerConfig, DeliverPolicy

from chassis import names
from chassis.events.broker import Broker
from chassis.events.ordered import Hear, MissedError, Ordered
from gateway.live.readers import Readers

PAUSE: Final = 1.0  # seconds before another try
PACE: Final = 0.1  # seconds from one consumer to the next: many who come at once share one
MOST: Final = 256  # organisations that a consumer names: NATS compares each with each; of more, it gives everybody's events

log = structlog.get_logger()


class Following:
    """How far a stream was heard, and for whom.

    An organisation is heard as soon as it has a reader. Until it is, the position stays where it is: what stands behind it is heard by
    the next consumer, for those who came and for those who were there.
    """

    def __init__(self, broker: Broker, service: str, readers: Readers, *, hear: Hear, lost: Callable[[], None]) -> None:
        self.position = 0
        self._broker = broker
        self._service = service
        self._stream = names.stream(service)
        self._readers = readers
        self._lost = lost
        self._ordered = Ordered(broker, stream=self._stream, hear=hear, passed=self._pass)
        self._heard: Collection[str] = ()
        self._wanted = asyncio.Event()
        self._stopped = False

    async def run(self) -> NoReturn:
        """Hear the stream while there are readers, until cancelled."""
        while True:
            await self._wanted.wait()
            self._stopped = False
            self._heard = frozenset(self._readers.tenants)
            if self._heard:
                await self._listen()
            else:
                self._wanted.clear()

    async def last(self) -> int:
        """Return where the stream ends now; raise what NATS does."""
        if not self._broker.client.is_connected:
            raise ConnectionError("not connected")
        return (await self._broker.jetstream.stream_info(self._stream)).state.last_seq

    def hears(self, tenant_id: str) -> bool:
        """Say whether the stream is heard for an organisation."""
        return len(self._heard) > MOST or tenant_id in self._heard

    def again(self) -> None:
        """Begin again behind the position, for those who read now."""
        self._stopped = True
        self._wanted.set()
        self._ordered.interrupt()

    def narrow(self) -> None:
        """Hear no more of those whom nobody reads now."""
        if any(tenant_id not in self._readers.tenants for tenant_id in self._heard):
            self.again()

    def reach(self, position: int) -> None:
        """Go on to an event; raise MissedError if the stream must be heard for others too before."""
        if self._stopped:
            raise MissedError("not for all who read")
        self.position = position

    async def _listen(self) -> None:
        try:
            start = await self._start()
            if not self._stopped:
                await self._ordered.listen(start)
        except (nats.errors.Error, OSError) as error:
            if not self._stopped:
                log.warning("live_feed_interrupted", stream=self._stream, error_type=type(error).__name__)
        await asyncio.sleep(PACE if self._stopped else PAUSE)

    async def _start(self) -> ConsumerConfig:
        """Go on behind what was heard last; a stream that is shorter than that is a new one, of which nobody knows what was lost."""
        last = await self.last()
        if self.position > last:
            self.position = last
            self._lost()
        return ConsumerConfig(
            deliver_policy=DeliverPolicy.BY_START_SEQUENCE, opt_start_seq=self.position + 1, filter_subjects=self._subjects()
        )

    def _subjects(self) -> list[str]:
        if len(self._heard) > MOST:
            return [names.subjects(self._service)]
        return [names.subjects_of(self._service, tenant_id) for tenant_id in self._heard]

    def _pass(self, position: int) -> None:
        """Go on to a place up to which there was nothing else."""
        if not self._stopped:
            self.position = max(self.position, position)
