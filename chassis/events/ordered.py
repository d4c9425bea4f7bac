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
UNUSED: Final = 2 * HEARTBEAT  # after which the server drops a consumer that nobody listens to: nobody comes back to one
BATCH: Final = 256  # messages that are heard at once
WAITING: Final = 4096  # messages that wait here; more wait in the client, whose own bound makes a gap of what is too much

_LAST_HEARD: Final = "Nats-Last-Consumer"
_LAST_PASSED: Final = "Nats-Last-Stream"

Hear = Callable[[Sequence[Msg]], Awaitable[None]]
Passed = Callable[[int], None]


class MissedError(ConnectionError):
    """Something may not have arrived."""


class Ordered:
    """Calls `hear` with messages of one stream in their order: with all that came while it was busy with others.

    Now and then `passed` is told how far the stream was gone through: what was asked for up to there was heard.
    """

    def __init__(self, broker: Broker, *, stream: str, hear: Hear, passed: Passed = lambda _: None) -> None:
        self._broker = broker
        self._stream = stream
        self._hear = hear
        self._passed = passed
        self._queue: asyncio.Queue[Msg | None] = asyncio.Queue()
        self._interrupted = False
        broker.on_reconnect(self.interrupt)

    async def listen(self, start: ConsumerConfig, ready: Callable[[], None] = lambda: None) -> NoReturn:
        """Read the subjects that `start` names from where it says, after calling `ready` once the server knows.

        Raise as soon as something may have been missed.
        """
        client = self._broker.client
        queue = self._queue = asyncio.Queue(WAITING)
        self._interrupted = False
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
                if self._interrupted:
                    raise MissedError("interrupted")
                messages = unbroken(waiting, heard)
                heard += len(messages)
                if messages:
                    await self._hear(messages)
                self._note_passed(waiting)
        finally:
            if not client.is_closed:
                await subscription.unsubscribe()

    def _note_passed(self, waiting: Sequence[Msg | None]) -> None:
        for each in waiting:
            if each is not None and each.headers and _LAST_PASSED in each.headers:
                self._passed(int(each.headers[_LAST_PASSED]))

    def interrupt(self) -> None:
        """Have `listen` raise: after a reconnection the server may know the consumer no longer. A full queue wakes by itself."""
        self._interrupted = True
        with contextlib.suppress(asyncio.QueueFull):
            self._queue.put_nowait(None)

    def _configuration(self, start: ConsumerConfig, inbox: str) -> ConsumerConfig:
        return start.evolve(
            name=inbox.replace(".", "-"),
            deliver_subject=inbox,
            ack_policy=AckPolicy.NONE,
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
            raise MissedError("interrupted")
        if each.reply:
            found.append(each)
        number = each.metadata.sequence.consumer if each.reply else int((each.headers or {}).get(_LAST_HEARD, heard + len(found)))
        if number != heard + len(found):
            raise MissedError("a message in between")
    return found
