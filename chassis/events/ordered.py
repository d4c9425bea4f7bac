"""A stream read in order and without a gap, by a passing consumer that nobody else sees.

Nothing is acknowledged: whenever something may have been missed, the reader starts again from a place that it chooses.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, NoReturn

from nats.aio.msg import Msg
from nats.js.api import AckPolicy, ConsumerConfig

from chassis.events.broker import Broker

HEARTBEAT: Final = 5.0  # seconds
UNUSED: Final = 60.0  # seconds after which the server drops a consumer that nobody listens to
BATCH: Final = 256  # messages that are heard at once
WAITING: Final = 4096  # messages that wait here; more wait in the client, whose own bound makes a gap of what is too much

Hear = Callable[[Sequence[Msg]], Awaitable[None]]


class MissedError(ConnectionError):
    """Something may not have arrived."""


class Ordered:
    """Calls `hear` with the messages of one stream's subjects, in their order: with all that came while it was busy with others."""

    def __init__(self, broker: Broker, *, stream: str, subjects: str, hear: Hear) -> None:
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
                    waiting = [await queue.get()]
                while not queue.empty() and len(waiting) < BATCH:
                    waiting.append(queue.get_nowait())
                if self._reconnected:
                    raise MissedError("reconnected")
                messages = unbroken(waiting, heard)
                heard += len(messages)
                if messages:
                    await self._hear(messages)
        finally:
            if not client.is_closed:
                await subscription.unsubscribe()

    def _start_again(self) -> None:
        """Wake who waits for a message: the server may know the consumer no longer. A full queue wakes by itself."""
        self._reconnected = True
        with contextlib.suppress(asyncio.QueueFull):
            self._queue.put_nowait(None)

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


def unbroken(waiting: Sequence[Msg | None], heard: int) -> list[Msg]:
    """Return the messages without the heartbeats, and check by both that none is missing behind those that were heard."""
    found: list[Msg] = []
    for each in waiting:
        if each is None:
            raise MissedError("reconnected")
        if each.reply:
            found.append(each)
        number = each.metadata.sequence.consumer if each.reply else int((each.headers or {}).get("Nats-Last-Consumer", heard + len(found)))
        if number != heard + len(found):
            raise MissedError("a message in between")
    return found
