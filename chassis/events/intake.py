"""Taking events in: pulled by a durable consumer, handled in the lane of their key, and settled with the server."""

import asyncio
import sys
from dataclasses import dataclass
from functools import partial
from typing import Final

import nats.errors
import structlog
from nats.aio.msg import Msg

from chassis import clock
from chassis.events.broker import Broker
from chassis.events.envelope import Envelope
from chassis.events.faults import Failure, Verdict
from chassis.events.handling import Handling
from chassis.events.lanes import Backlog, Failed, Lanes, Ticket
from chassis.events.letters import Letter, bury
from chassis.events.pull import Pull
from chassis.telemetry import metrics

ACK_SECONDS: Final = 30.0  # without a sign from here the server gives an event to somebody else
TRIES: Final = 10
"""How often an event may fail by a fault of its own. With the back-off that is some nine minutes: longer than a release takes to be
rolled back, shorter than its key can wait."""

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class _Delivery:
    """One event on this side; without an envelope it is none of ours."""

    message: Msg
    envelope: Envelope | None


class Intake:
    """Handles what one durable consumer is given, `window` events at a time, and up to the position `until`."""

    def __init__(
        self,
        broker: Broker,
        handling: Handling,
        lanes: Lanes,
        *,
        stream: str,
        durable: str,
        window: int,
        stopping: asyncio.Event,
        until: int = sys.maxsize,
    ) -> None:
        self._handling = handling
        self._lanes = lanes
        self._stream = stream
        self._window = window
        self._stopping = stopping
        self._until = until
        self._here: dict[int, _Delivery] = {}
        self._backlog = Backlog()
        self._pull = Pull(broker, stream=stream, durable=durable, accept=self._accept)

    async def run(self) -> None:
        """Take events in until stopping; then let those end that were begun, and give back the others."""
        holding = asyncio.create_task(self._hold())
        try:
            await self._pull.run(lambda: self._window - len(self._here), self._stopping)
            while self._here:
                self._pull.changed.clear()
                await self._pull.changed.wait()
        finally:
            holding.cancel()
            self._here.clear()

    def stop(self) -> None:
        """End soon."""
        self._stopping.set()
        self._pull.changed.set()

    async def _hold(self) -> None:
        """Tell the server about events that wait or take long, so that it does not give them to somebody else."""
        while True:
            await asyncio.sleep(ACK_SECONDS / 3)
            try:
                for delivery in list(self._here.values()):
                    await delivery.message.in_progress()
            except (nats.errors.Error, OSError) as error:
                log.warning("events_not_held", error_type=type(error).__name__)

    def _accept(self, message: Msg) -> None:
        metadata = message.metadata
        sequence = metadata.sequence.stream
        if metadata.num_delivered > 1:
            metrics.CONSUMER_REDELIVERIES.labels(self._handling.group).inc()
        if sequence in self._here:
            return
        try:
            envelope = Envelope.of_headers(message.headers)
        except ValueError:
            envelope = None
        delivery = self._here[sequence] = _Delivery(message, envelope)
        ticket = Ticket(envelope.lane if envelope else "", sequence, metadata.num_delivered)
        self._lanes.add(ticket.lane, partial(self._settle, ticket, delivery))

    async def _settle(self, ticket: Ticket, delivery: _Delivery) -> None:
        """Handle an event and tell the server how that went; if it does not hear, the event comes again and has no second effect."""
        try:
            await self._answer(ticket, delivery)
        except (nats.errors.Error, OSError) as error:
            log.warning("event_not_settled", error_type=type(error).__name__)
        finally:
            self._here.pop(ticket.sequence, None)
            self._pull.changed.set()

    async def _answer(self, ticket: Ticket, delivery: _Delivery) -> None:
        message, envelope = delivery.message, delivery.envelope
        if ticket.sequence > self._until:
            await message.ack()
        elif self._stopping.is_set():
            await message.nak()
        elif envelope is None or not self._handling.knows(envelope.type):
            metrics.EVENTS_SKIPPED.labels(self._handling.group, "unknown").inc()
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
            consumer=self._handling.consumer,
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
