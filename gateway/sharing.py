"""Limits hold for all edges together: each tells the others what it counted, a moment late.

So a caller who meets several edges may have as many bursts as there are edges at most, and then waits until all of it is worked off;
over any longer time there is one limit. While NATS is away, every edge holds the limits by itself.
"""

import asyncio
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Final, NoReturn

import nats.errors
import orjson
import structlog
from nats.aio.client import Client
from nats.aio.msg import Msg

from chassis import ids, names
from chassis.events.broker import Broker
from gateway.limits import Buckets, TierLimit

PAUSE: Final = 0.2  # seconds between two tellings
MOST_KEYS: Final = 5_000  # of one message, which stays well below the 1 MiB that NATS takes

log = structlog.get_logger()


class Sharing:
    """Tells and hears counts. The connection is opened by somebody else."""

    def __init__(self, broker: Broker, limits: Mapping[str, TierLimit]) -> None:
        self._broker = broker
        self._buckets = {name: buckets for tier in limits.values() for name, buckets in tier.buckets()}
        self._me = ids.new()
        self._heard_by: Client | None = None

    async def run(self) -> NoReturn:
        """Tell and hear until cancelled."""
        while True:
            await asyncio.sleep(PAUSE)
            news = list(self._news())  # what cannot be told now would be old later
            client = self._broker.client
            if client.is_connected:
                try:
                    await self._tell(client, news)
                except nats.errors.Error as error:
                    log.warning("limits_not_shared", error_type=type(error).__name__)

    async def _tell(self, client: Client, news: list[bytes]) -> None:
        if self._heard_by is not client:
            await client.subscribe(names.LIMITS, cb=self._hear)
            self._heard_by = client
        for piece in news:
            await client.publish(names.LIMITS, piece)

    def _news(self) -> Iterator[bytes]:
        for name, buckets in self._buckets.items():
            counts = iter(buckets.news().items())
            while piece := dict(islice(counts, MOST_KEYS)):
                yield orjson.dumps([self._me, name, piece])

    async def _hear(self, message: Msg) -> None:
        """Count what another edge counted. Another release may say what this one does not know."""
        teller, name, counts = orjson.loads(message.data)
        buckets: Buckets | None = self._buckets.get(name)
        if teller != self._me and buckets is not None:
            buckets.add(counts)
