"""The connection to NATS: one for each process, reconnecting for ever."""

import contextlib
from collections.abc import Callable
from typing import Final, Self

import nats
import nats.errors
import structlog
from nats.aio.client import Client
from nats.js import JetStreamContext

from chassis import names

CONNECT_SECONDS: Final = 2
RECONNECT_SECONDS: Final = 1
PING_SECONDS: Final = 10
FLUSH_SECONDS: Final = 1

GONE: Final = (OSError, nats.errors.StaleConnectionError)
"""What the client says, again and again, while there is no connection."""

log = structlog.get_logger()


class Broker:
    """A connection with one service's user; its inbox is its own, so that nobody else hears the answers."""

    def __init__(self, url: str, *, name: str) -> None:
        self._url = url
        self._name = name
        self._client = Client()
        self._on_reconnect: list[Callable[[], None]] = []
        self._told = False  # that NATS is not there; also true while we leave by ourselves

    @property
    def client(self) -> Client:
        """Return the client for plain subjects."""
        return self._client

    @property
    def jetstream(self) -> JetStreamContext:
        """Return the client for streams."""
        return self._client.jetstream()

    def on_reconnect(self, listener: Callable[[], None]) -> None:
        """Have a listener called after each reconnection: what the server knew about the old connection is gone."""
        self._on_reconnect.append(listener)

    async def ping(self) -> None:
        """Raise if NATS does not answer."""
        if not self._client.is_connected:
            raise ConnectionError("not connected")
        await self._client.flush(FLUSH_SECONDS)

    async def __aenter__(self) -> Self:
        """Connect, however long NATS takes to come up."""
        self._client = await nats.connect(
            self._url,
            name=self._name,
            inbox_prefix=names.inbox(self._name),
            connect_timeout=CONNECT_SECONDS,
            reconnect_time_wait=RECONNECT_SECONDS,
            max_reconnect_attempts=-1,
            ping_interval=PING_SECONDS,
            error_cb=self._error,
            disconnected_cb=self._disconnected,
            reconnected_cb=self._reconnected,
        )
        self._told = False
        return self

    async def __aexit__(self, *_: object) -> None:
        with contextlib.suppress(nats.errors.Error):
            await self._client.flush(FLUSH_SECONDS)
        self._told = True
        await self._client.close()

    async def _error(self, error: Exception) -> None:
        if isinstance(error, GONE):
            self._tell(type(error).__name__)
        else:
            log.warning("nats_error", error_type=type(error).__name__, detail=str(error))  # the server's words: subjects, no payload

    async def _disconnected(self) -> None:
        self._tell("")

    def _tell(self, error_type: str) -> None:
        """Say once that NATS is not there, however often it is tried again."""
        if not self._told:
            log.warning("nats_disconnected", error_type=error_type)
        self._told = True

    async def _reconnected(self) -> None:
        self._told = False
        log.info("nats_reconnected")
        for listener in self._on_reconnect:
            listener()
