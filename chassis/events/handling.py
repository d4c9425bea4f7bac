"""What becomes of one event: a transaction of its tenant with the note that it was done, traced and measured."""

import copy
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Any, Final, Self

import structlog
from google.protobuf.message import Message
from sqlalchemy import bindparam
from sqlalchemy.dialects.postgresql import insert

from chassis import contract
from chassis.context import Caller, CallerKind, Request, enter
from chassis.database import Database, Query, UnitOfWork, unit_of_work
from chassis.database.system_tables import inbox
from chassis.events.envelope import Envelope, service_of
from chassis.events.faults import Failure, failure
from chassis.sealing.opening import Incoming, Opener
from chassis.telemetry import metrics, tracing

Handler = Callable[[UnitOfWork, Any], Awaitable[None]]
"""What a noun does about an event: called in a transaction of the event's tenant, with the event message."""

_REMEMBER: Final = Query(insert(inbox).values(consumer=bindparam("consumer"), message_id=bindparam("message_id")).on_conflict_do_nothing())

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Subscription:
    """One type of event and what is done about it."""

    kind: type[Message]
    handlers: Sequence[Handler]


Subscriptions = Mapping[str, Subscription]
"""By the event's type."""


def by_source(handlers: Sequence[Mapping[type[Message], Handler]]) -> dict[str, dict[str, Subscription]]:
    """Return the subscriptions by the service whose events they are; several nouns may handle one type of event."""
    wanted: dict[str, dict[str, Subscription]] = defaultdict(dict)
    for mapping in handlers:
        for kind, handler in mapping.items():
            subject = contract.event(kind).subject
            source = wanted[service_of(subject)]
            known = source[subject].handlers if subject in source else ()
            source[subject] = Subscription(kind, [*known, handler])
    return wanted


class Handling:
    """Handles events as one consumer: a message id has an effect once for each. `group`, the service's name, is what metrics say."""

    def __init__(self, *, consumer: str, subscriptions: Subscriptions, database: Database, opener: Opener) -> None:
        self.consumer = consumer
        self.group = consumer
        self._subscriptions = subscriptions
        self._database = database
        self._opener = opener

    def under(self, consumer: str) -> Self:
        """Return the same handlers as another consumer of the group: what this one has handled is new to it."""
        other = copy.copy(self)
        other.consumer = consumer
        return other

    def knows(self, kind: str) -> bool:
        """Say whether somebody here handles this type of event."""
        return kind in self._subscriptions

    async def handle(self, envelope: Envelope, payload: bytes) -> Failure | None:
        """Handle an event; return why that failed, None if it did not."""
        template = f"{contract.PREFIX}{envelope.type}"
        started = perf_counter()
        failed: Failure | None = None
        error_type = ""
        with tracing.consume(f"process {template}", envelope.traceparent) as span:
            span.set("messaging.system", "nats")
            span.set("messaging.message.id", envelope.id)
            span.set("kith.tenant.id", envelope.tenant_id)
            enter(self._request(envelope))
            try:
                await self._handle(envelope, payload)
            except Exception as error:
                failed = failure(error)
                error_type = type(error).__name__
                span.fail(error_type)
                log.exception("event_failed", message_id=envelope.id, type=envelope.type, verdict=failed.verdict.value)
            metrics.messaging_process(template, self.group, error_type).observe(perf_counter() - started, span.exemplar)
            metrics.messaging_consumed(template, self.group, error_type).inc()
        return failed

    def _request(self, envelope: Envelope) -> Request:
        caller = Caller(kind=CallerKind.SERVICE, tenant_id=envelope.tenant_id, service=service_of(envelope.type))
        return Request(request_id=envelope.id, database=self._database, caller=caller, origin=envelope.type)

    async def _handle(self, envelope: Envelope, payload: bytes) -> None:
        subscription = self._subscriptions[envelope.type]
        event = subscription.kind.FromString(payload)
        await self._opener.open(Incoming(envelope.type, envelope.tenant_id, envelope.key, event))
        async with unit_of_work(envelope.tenant_id) as work:
            if not await work.run(_REMEMBER, consumer=self.consumer, message_id=envelope.id):
                metrics.EVENTS_SKIPPED.labels(self.group, "seen").inc()
                return
            for handler in subscription.handlers:
                await handler(work, event)
