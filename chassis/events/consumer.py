"""The consumer: pulls events from a stream and settles each one with the server when its handlers are done."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Final, Self

import nats.errors
import structlog
from google.protobuf.message import Message
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy

from chassis import contract, names
from chassis.contract import ContractError
from chassis.database import Database
from chassis.database.pipeline import Pipeline
from chassis.events.broker import Broker
from chassis.events.handling import Handler, Handling, Subscriptions, by_source
from chassis.events.intake import ACK_SECONDS, Intake
from chassis.events.lanes import Lanes
from chassis.events.leadership import lead
from chassis.events.replaying import Replaying
from chassis.events.rereading import Rereading
from chassis.sealing.opening import Opener
from chassis.telemetry import metrics

WINDOW: Final = 256  # events that are here and not settled
MAX_PENDING: Final = 10_000  # events given out or waiting for their next try; more stop the consumer
DRAIN_SECONDS: Final = 20.0
MEASURED: Final = 10.0  # seconds between two measurements of the backlog

log = structlog.get_logger()


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
        self._stopping = asyncio.Event()
        self._lanes = Lanes()
        self._intake = Intake(
            broker, self._handling, self._lanes, stream=self._stream, durable=service, window=WINDOW, stopping=self._stopping
        )
        self._replaying = Replaying(self._handling, self._lanes, stream=self._stream)
        self._rereading = Rereading(broker, self._handling, self._lanes, stream=self._stream)

    async def __aenter__(self) -> Self:
        self._running = asyncio.create_task(lead(self._dsn, f"consume {self._stream}", self._consume, self._stopping), name="consumer")
        return self

    async def __aexit__(self, *_: object) -> None:
        """Take nothing more, let running handlers end, and give back what was not begun."""
        self._intake.stop()
        await asyncio.wait([self._running], timeout=DRAIN_SECONDS)
        self._running.cancel()
        await asyncio.gather(self._running, return_exceptions=True)

    async def _consume(self, connection: Pipeline) -> None:
        await self._broker.jetstream.add_consumer(self._stream, self._configuration())
        beside = [asyncio.create_task(work) for work in (self._measure(), self._replaying.run(connection), self._rereading.run())]
        try:
            await self._intake.run()
            await self._lanes.drained()
        finally:
            for task in beside:
                task.cancel()
            await asyncio.gather(*beside, return_exceptions=True)
            await self._lanes.abandon()

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

    async def _measure(self) -> None:
        """Measure how far the consumer is behind."""
        pending = metrics.CONSUMER_PENDING.labels(self._service, self._stream)
        while True:
            await asyncio.sleep(MEASURED)
            try:
                info = await self._broker.jetstream.consumer_info(self._stream, self._service)
                pending.set((info.num_pending or 0) + (info.num_ack_pending or 0))
            except (nats.errors.Error, OSError) as error:
                log.warning("consumer_not_measured", error_type=type(error).__name__)


def consumers(
    broker: Broker,
    *,
    service: str,
    handlers: Sequence[Mapping[type[Message], Handler]],
    database: Database,
    opener: Callable[[str], Opener],
    dsn: str,
) -> list[Consumer]:
    """Return a consumer for each stream that the handlers need; `opener` gives what opens the events of a service.

    Raises ContractError when one of these events holds personal data that the service may not read.
    """
    wanted = by_source(handlers)
    for source, subscriptions in wanted.items():
        _must_read(service, source, subscriptions)
    return [
        Consumer(broker, service=service, source=source, subscriptions=subscriptions, database=database, opener=opener(source), dsn=dsn)
        for source, subscriptions in wanted.items()
    ]


def _must_read(service: str, source: str, subscriptions: Subscriptions) -> None:
    sealed = [kind for kind, each in subscriptions.items() if contract.SEALED in each.kind.DESCRIPTOR.fields_by_name]
    if sealed and source != service and service not in contract.key_readers(source):
        raise ContractError(f"{service} handles {sealed[0]} and is no reader of {source}'s keys")
