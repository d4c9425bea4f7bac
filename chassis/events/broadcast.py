"""Events that every process must hear by itself, such as ended sessions: the last minutes at the start, then each as it comes.

Nothing is remembered: whenever something may have been missed, the last minutes are read again, so what is done about an
event must be harmless to do twice.
"""

import asyncio
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Final, Generic, Self, TypeVar

import nats.errors
import structlog
from google.protobuf.message import DecodeError, Message
from nats.aio.msg import Msg
from nats.js.api import ConsumerConfig, DeliverPolicy

from chassis import clock, contract, names
from chassis.events.broker import Broker
from chassis.events.envelope import service_of
from chassis.events.ordered import Ordered

LOOK_BACK: Final = timedelta(minutes=16)  # the life of an access token and the skew of clocks
PAUSE: Final = 1.0  # seconds before another try

E = TypeVar("E", bound=Message)
log = structlog.get_logger()


class Broadcast(Generic[E]):
    """Calls `hear` with every event of a type inside its block, after those of the last minutes."""

    def __init__(self, broker: Broker, kind: type[E], hear: Callable[[E], None]) -> None:
        self._kind = kind
        self._hear = hear
        self._subject = contract.event(kind).subject
        self._ordered = Ordered(broker, stream=names.stream(service_of(self._subject)), hear=self._take)

    async def __aenter__(self) -> Self:
        self._running = asyncio.create_task(self._run(), name="broadcast")
        return self

    async def __aexit__(self, *_: object) -> None:
        self._running.cancel()
        await asyncio.gather(self._running, return_exceptions=True)

    async def _run(self) -> None:
        while True:
            try:
                await self._ordered.listen(self._start())
            except (nats.errors.Error, OSError) as error:
                log.warning("broadcast_interrupted", error_type=type(error).__name__)
            await asyncio.sleep(PAUSE)

    def _start(self) -> ConsumerConfig:
        return ConsumerConfig(
            deliver_policy=DeliverPolicy.BY_START_TIME,
            opt_start_time=clock.now() - LOOK_BACK,
            filter_subject=f"{contract.PREFIX}{self._subject}.*",
        )

    async def _take(self, messages: Sequence[Msg]) -> None:
        for message in messages:
            self._say(message)

    def _say(self, message: Msg) -> None:
        try:
            event = self._kind.FromString(message.data)
        except DecodeError:
            log.error("broadcast_unreadable", type=self._kind.DESCRIPTOR.full_name)  # noqa: TRY400 - the error's text may hold the data
            return
        self._hear(event)
