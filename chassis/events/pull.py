"""Pulling from a durable consumer: messages come as soon as they are published, and never more than there is room for.

nats-py's own `fetch` waits for a full batch or its time-out; this keeps one pull open and gives each message on at once.
"""

import asyncio
from collections.abc import Callable
from time import monotonic
from typing import Final

import orjson
from nats.aio.msg import Msg

from chassis.events.broker import Broker

EXPIRES: Final = 30.0  # seconds that the server keeps a pull open
HEARTBEAT: Final = 5.0  # seconds between two signs of life of the server while a pull is open
_SECOND: Final = 1_000_000_000  # in nanoseconds, which the API counts in

_OVER: Final = frozenset({"404", "408"})  # nothing there; the pull expired
_ALIVE: Final = "100"


class ConsumerLostError(ConnectionError):
    """The consumer is gone or the server refuses to serve it; set it up again."""


class Pull:
    """Asks for messages of one durable consumer; `accept` gets each one and must not block."""

    def __init__(self, broker: Broker, *, stream: str, durable: str, accept: Callable[[Msg], None]) -> None:
        self._client = broker.client
        self._subject = f"$JS.API.CONSUMER.MSG.NEXT.{stream}.{durable}"
        self._inbox = self._client.new_inbox()
        self._accept = accept
        self._asked = 0
        self._number = 0
        self._sign = 0.0
        self._refused = ""
        self.changed = asyncio.Event()
        broker.on_reconnect(self._forget)

    async def run(self, room: Callable[[], int], stopping: asyncio.Event) -> None:
        """Keep a pull open for as much as there is room for, until stopping. `changed` has to be set when there is more room."""
        self._asked, self._refused = 0, ""
        subscription = await self._client.subscribe(f"{self._inbox}.*", cb=self._on)
        try:
            while not stopping.is_set():
                self.changed.clear()
                if self._refused:
                    raise ConsumerLostError(self._refused)
                if self._asked > 0 and monotonic() - self._sign > 2 * HEARTBEAT:
                    self._forget()
                if self._asked <= 0 and room() > 0:
                    await self._ask(room())
                await self._wait()
        finally:
            if not self._client.is_closed:
                await subscription.unsubscribe()

    def _forget(self) -> None:
        """Forget the open pull: the server that had it is gone."""
        self._asked = 0
        self.changed.set()

    async def _wait(self) -> None:
        try:
            async with asyncio.timeout(HEARTBEAT):
                await self.changed.wait()
        except TimeoutError:
            return

    async def _ask(self, size: int) -> None:
        self._number += 1
        self._asked = size
        self._sign = monotonic()
        request = {"batch": size, "expires": int(EXPIRES * _SECOND), "idle_heartbeat": int(HEARTBEAT * _SECOND)}
        await self._client.publish(self._subject, orjson.dumps(request), reply=f"{self._inbox}.{self._number}")

    async def _on(self, message: Msg) -> None:
        self._sign = monotonic()
        if message.reply:
            self._asked -= 1
            self._accept(message)
            if self._asked <= 0:
                self.changed.set()
            return
        status = (message.headers or {}).get("Status", "")
        if status == _ALIVE or message.subject != f"{self._inbox}.{self._number}":
            return
        if status not in _OVER:
            self._refused = status or "unknown"
        self._forget()
