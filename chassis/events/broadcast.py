"""Events that every process must hear by itself, such as ended sessions: the last minutes at the start, then each as it comes.

Nothing is acknowledged and nothing remembered: whenever something may have been missed, the last minutes are read again,
so what is done about an event must be harmless to do twice.
"""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Final, Generic, Self, TypeVar

import nats.errors
import structlog
from google.protobuf.message import Message
from nats.aio.msg import Msg
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy

from chassis import clock, contract, names
from chassis.events.broker import Broker
from chassis.events.envelope import service_of

LOOK_BACK: Final = timedelta(minutes=16)  # the life of an access token and the skew of clocks
HEARTBEAT: Final = 5.0  # seconds
UNUSED: Final = 60.0  # seconds after which the server drops a consumer that nobody listens to
PAUSE: Final = 1.0  # seconds before another try

E = TypeVar("E", bound=Message)
log = structlog.get_logger()


class _MissedError(ConnectionError):
    """Something may not have arrived."""


class Broadcast(Generic[E]):
    """Calls `hear` with every event of a type inside its block, after those of the last minutes."""

    def __init__(self, broker: Broker, kind: type[E], hear: Callable[[E], None]) -> None:
        self._broker = broker
        self._kind = kind
        self._hear = hear
        subject = contract.event(kind).subject
        self._stream = names.stream(service_of(subject))
        self._filter = f"{contract.PREFIX}{subject}.*"
        self._queue: asyncio.Queue[Msg | None] = asyncio.Queue()
        broker.on_reconnect(lambda: self._queue.put_nowait(None))

    async def __aenter__(self) -> Self:
        self._running = asyncio.create_task(self._run(), name="broadcast")
        return self

    async def __aexit__(self, *_: object) -> None:
        self._running.cancel()
        await asyncio.gather(self._running, return_exceptions=True)

    async def _run(self) -> None:
        while True:
            try:
                await self._listen()
            except (nats.errors.Error, OSError) as error:
                log.warning("broadcast_interrupted", error_type=type(error).__name__)
            await asyncio.sleep(PAUSE)

    async def _listen(self) -> None:
        """Read from the last minutes on; raise as soon as something may have been missed."""
        client = self._broker.client
        queue = self._queue = asyncio.Queue()
        subscription = await client.subscribe(client.new_inbox(), cb=queue.put)
        try:
            await self._broker.jetstream.add_consumer(self._stream, self._configuration(subscription.subject))
            heard = 0
            while True:
                async with asyncio.timeout(3 * HEARTBEAT):
                    message = await queue.get()
                if message is None:
                    raise _MissedError("reconnected")
                heard = self._take(message, heard)
        finally:
            if not client.is_closed:
                await subscription.unsubscribe()

    def _take(self, message: Msg, heard: int) -> int:
        """Hear a message, or check by a heartbeat that none is missing; return how many were heard."""
        if not message.reply:
            last = int((message.headers or {}).get("Nats-Last-Consumer", heard))
            if last != heard:
                raise _MissedError("a message before the heartbeat")
            return heard
        if message.metadata.sequence.consumer != heard + 1:
            raise _MissedError("a message in between")
        self._hear(self._kind.FromString(message.data))
        return heard + 1

    def _configuration(self, inbox: str) -> ConsumerConfig:
        return ConsumerConfig(
            name=inbox.replace(".", "-"),
            deliver_subject=inbox,
            deliver_policy=DeliverPolicy.BY_START_TIME,
            opt_start_time=clock.now() - LOOK_BACK,
            ack_policy=AckPolicy.NONE,
            filter_subject=self._filter,
            idle_heartbeat=HEARTBEAT,
            inactive_threshold=UNUSED,
            mem_storage=True,
            num_replicas=1,
        )
