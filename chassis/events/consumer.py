"""The consumer: pulls events from a stream and settles each one with the server when its handlers are done."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final, Self

import nats.errors
import structlog
from google.protobuf.message import Message
from nats.aio.msg import Msg
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy

from chassis import clock, contract, names
from chassis.database import Database
from chassis.events.broker import Broker
from chassis.events.envelope import Envelope
from chassis.events.faults import Failure, Verdict
from chassis.events.handling import Handler, Handling, Subscriptions, by_source
from chassis.events.lanes import Backlog, Failed, Lanes, Ticket
from chassis.events.leadership import Connection, lead
from chassis.events.letters import Letter, bury
from chassis.events.pull import Pull
from chassis.events.replaying import Replaying
from chassis.sealing.opening import Opener
from chassis.telemetry import metrics

WINDOW: Final = 256  # events that are here and not settled
ACK_SECONDS: Final = 30.0  # without a sign from here the server gives an event to somebody else
MAX_PENDING: Final = 10_000  # events given out or waiting for their next try; more stop the consumer
DRAIN_SECONDS: Final = 20.0
TRIES: Final = 10
"""How often an event may fail by a fault of its own. With the back-off that is some nine minutes: longer than a release takes to be
rolled back, shorter than its key can wait."""

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class _Delivery:
    """One event on this side; without an envelope it is none of ours."""

    message: Msg
    envelope: Envelope | None


class Consumer:
    """Handles the events of one stream inside its block, as the durable consumer named after the service.

    Only one of a service's processes consumes a stream at a time, so that a key's order holds across processes; the lock
    for that is taken with `dsn`, the system role's.
    """

    def __init__(
        self, broker: Broker, *, service: str, source: str, subscriptions: Subscriptions, database: Database, opener: Opener, dsn: str
    ) -> None:
        self._broker = broker
        self._service = service
        self._stream = names.stream(source)
        self._subjects = sorted(f"{contract.PREFIX}{kind}.*" for kind in subscriptions)
        self._handling = Handling(consumer=service, subscriptions=subscriptions, database=database, opener=opener)
        self._dsn = dsn
        self._pending = metrics.CONSUMER_PENDING.labels(service, self._stream)
        self._stopping = asyncio.Event()
        self._here: dict[int, _Delivery] = {}
        self._backlog = Backlog()
        self._lanes = Lanes()
        self._replaying = Replaying(self._handling, self._lanes, consumer=service, stream=self._stream)
        self._pull = Pull(broker, stream=self._stream, durable=service, accept=self._accept)

    async def __aenter__(self) -> Self:
        self._running = asyncio.create_task(lead(self._dsn, f"consume {self._stream}", self._consume, self._stopping), name="consumer")
        return self

    async def __aexit__(self, *_: object) -> None:
        """Take nothing more, let running handlers end, and give back what was not begun."""
        self._stopping.set()
        self._pull.changed.set()
        await asyncio.wait([self._running], timeout=DRAIN_SECONDS)
        self._running.cancel()
        await asyncio.gather(self._running, return_exceptions=True)

    async def _consume(self, connection: Connection) -> None:
        await self._broker.jetstream.add_consumer(self._stream, self._configuration())
        beside = [asyncio.create_task(self._hold()), asyncio.create_task(self._replaying.run(connection))]
        try:
            await self._pull.run(lambda: WINDOW - len(self._here), self._stopping)
            await self._lanes.drained()
        finally:
            for task in beside:
                task.cancel()
            await self._lanes.abandon()
            self._here.clear()

    def _configuration(self) -> ConsumerConfig:
        return ConsumerConfig(
            name=self._service,
            durable_name=self._service,
            deliver_policy=DeliverPolicy.ALL,
            ack_policy=AckPolicy.EXPLICIT,
            ack_wait=ACK_SECONDS,
            max_deliver=-1,
            max_ack_pending=MAX_PENDING,
            filter_subjects=self._subjects,
        )

    async def _hold(self) -> None:
        """Tell the server about events that wait or take long, so that it does not give them to somebody else; measure the backlog."""
        while True:
            await asyncio.sleep(ACK_SECONDS / 3)
            try:
                for delivery in list(self._here.values()):
                    await delivery.message.in_progress()
                info = await self._broker.jetstream.consumer_info(self._stream, self._service)
                self._pending.set((info.num_pending or 0) + (info.num_ack_pending or 0))
            except (nats.errors.Error, OSError) as error:
                log.warning("consumer_not_held", error_type=type(error).__name__)

    def _accept(self, message: Msg) -> None:
        metadata = message.metadata
        sequence = metadata.sequence.stream
        if metadata.num_delivered > 1:
            metrics.CONSUMER_REDELIVERIES.labels(self._service).inc()
        if sequence in self._here:
            return
        try:
            envelope = Envelope.of_headers(message.headers)
        except ValueError:
            envelope = None
        self._here[sequence] = _Delivery(message, envelope)
        ticket = Ticket(envelope.key if envelope else "", sequence, metadata.num_delivered)
        self._lanes.add(ticket.key, partial(self._settle, ticket))

    async def _settle(self, ticket: Ticket) -> None:
        """Handle an event and tell the server how that went; if it does not hear, the event comes again and has no second effect."""
        delivery = self._here[ticket.sequence]
        try:
            await self._answer(ticket, delivery)
        except (nats.errors.Error, OSError) as error:
            log.warning("event_not_settled", error_type=type(error).__name__)
        finally:
            del self._here[ticket.sequence]
            self._pull.changed.set()

    async def _answer(self, ticket: Ticket, delivery: _Delivery) -> None:
        message, envelope = delivery.message, delivery.envelope
        if self._stopping.is_set():
            await message.nak()
        elif envelope is None or not self._handling.knows(envelope.type):
            metrics.EVENTS_SKIPPED.labels(self._service, "unknown").inc()
            await message.ack()
        elif wait := self._backlog.wait(ticket):
            await message.nak(wait)
        elif await self._is_over(ticket, envelope, message):
            self._backlog.done(ticket)
            await message.ack()
        else:
            await message.nak(self._backlog.again(ticket))

    async def _is_over(self, ticket: Ticket, envelope: Envelope, message: Msg) -> bool:
        """Handle an event; say whether nothing is left to do, because it was handled or has become a dead letter."""
        failure = await self._handling.handle(envelope, message.data)
        if failure is None:
            return True
        if failure.verdict is Verdict.OUTAGE:
            return False
        failed = self._backlog.fault(ticket)
        if failure.verdict is Verdict.FAULT and failed.faults < TRIES:
            return False
        return await self._buried(self._letter(envelope, message, failure, failed))

    def _letter(self, envelope: Envelope, message: Msg, failure: Failure, failed: Failed) -> Letter:
        return Letter(
            tenant_id=envelope.tenant_id,
            consumer=self._service,
            message_id=envelope.id,
            stream=self._stream,
            sequence=failed.sequence,
            type=envelope.type,
            key=envelope.key,
            reason=failure.reason,
            tries=failed.faults,
            first_at=failed.since,
            last_at=clock.now(),
            headers=message.headers or {},
            payload=message.data,
        )

    async def _buried(self, letter: Letter) -> bool:
        """Keep the letter; while that fails its event comes again as if nothing had been decided."""
        try:
            await bury(letter)
        except Exception:
            log.exception("event_not_buried", message_id=letter.message_id, type=letter.type)
            return False
        log.error("event_buried", message_id=letter.message_id, type=letter.type, reason=letter.reason, tries=letter.tries)
        return True


def consumers(
    broker: Broker,
    *,
    service: str,
    handlers: Sequence[Mapping[type[Message], Handler]],
    database: Database,
    opener: Callable[[str], Opener],
    dsn: str,
) -> list[Consumer]:
    """Return a consumer for each stream that the handlers need; `opener` gives what opens the events of a service."""
    return [
        Consumer(broker, service=service, source=source, subscriptions=subscriptions, database=database, opener=opener(source), dsn=dsn)
        for source, subscriptions in by_source(handlers).items()
    ]
