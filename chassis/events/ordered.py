"""A stream read in order and without a gap, by a passing consumer that nobody else sees.

Nothing is acknowledged: whenever something may have been missed, the reader starts again from a place that it chooses.
"""

import asyncio
import contextlib
from collections.abc import Callable
from typing import Final, NoReturn

from nats.aio.msg import Msg
from nats.js.api import AckPolicy, ConsumerConfig

from chassis.events.broker import Broker

HEARTBEAT: Final = 5.0  # seconds
UNUSED: Final = 60.0  # seconds after which the server drops a consumer that nobody listens to
WAITING: Final = 4096  # messages that wait here; more wait in the client, whose own bound makes a gap of what is too much


class MissedError(ConnectionError):
    """Something may not have arrived."""


class Ordered:
    """Calls `hear` with the messages of one stream's subjects, one after the other."""

    def __init__(self, broker: Broker, *, stream: str, subjects: str, hear: Callable[[Msg], None]) -> None:
        self._broker = broker
        self._stream = stream
        self._subjects = subjects
        self._hear = hear
        self._queue: asyncio.Queue[Msg | None] = asyncio.Queue()
        self._reconnected = False
        broker.on_reconnect(self._start_again)

    async def listen(self, start: ConsumerConfig, ready: Callable[[], None] = lambda: None) -> NoReturn:
        """Read from where `start` says, after calling `ready` once the server knows; raise as soon as something may have been missed."""
        client = self._broker.client
        queue = self._queue = asyncio.Queue(WAITING)
        self._reconnected = False
        subscription = await client.subscribe(client.new_inbox(), cb=queue.put)
        try:
            await self._broker.jetstream.add_consumer(self._stream, self._configuration(start, subscription.subject))
            ready()
            heard = 0
            while True:
                async with asyncio.timeout(3 * HEARTBEAT):
                    message = await queue.get()
                if message is None or self._reconnected:
                    raise MissedError("reconnected")
                heard = self._take(message, heard)
                await asyncio.sleep(0)  # those who were told get their turn before the next message
        finally:
            if not client.is_closed:
                await subscription.unsubscribe()

    def _start_again(self) -> None:
        """Wake who waits for a message: the server may know the consumer no longer. A full queue wakes by itself."""
        self._reconnected = True
        with contextlib.suppress(asyncio.QueueFull):
            self._queue.put_nowait(None)

    def _take(self, message: Msg, heard: int) -> int:
        """Hear a message, or check by a heartbeat that none is missing; return how many were heard."""
        if not message.reply:
            last = int((message.headers or {}).get("Nats-Last-Consumer", heard))
            if last != heard:
                raise MissedError("a message before the heartbeat")
            return heard
        if message.metadata.sequence.consumer != heard + 1:
            raise MissedError("a message in between")
        self._hear(message)
        return heard + 1

    def _configuration(self, start: ConsumerConfig, inbox: str) -> ConsumerConfig:
        return start.evolve(
            name=inbox.replace(".", "-"),
            deliver_subject=inbox,
            ack_policy=AckPolicy.NONE,
            filter_subject=self._subjects,
            idle_heartbeat=HEARTBEAT,
            inactive_threshold=UNUSED,
            mem_storage=True,
            num_replicas=1,
        )
