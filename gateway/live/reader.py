"""One open stream on the side of the edge: who reads, what waits to be sent, and when it ends. It never holds more than its bounds."""

import asyncio
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from time import monotonic
from typing import Final, Self

from chassis.telemetry import metrics
from chassis.tokens import permissions
from chassis.tokens.claims import AccessToken
from gateway.live.changes import BEAT, Change, resync
from gateway.problems import Problem

MAX_WAITING: Final = 100  # changes that wait for a slow client
MAX_BYTES: Final = 64 * 1024  # of them together, unless it is one alone; as much again waits in the connection
SILENCE: Final = 15.0  # seconds after which a sign of life is sent, so that no proxy closes the connection
STALLED: Final = 60.0  # seconds that a client may take for what it was given, before it is given up
LINGER: Final = 1.0  # seconds that the last words have to be taken


@dataclass(frozen=True, slots=True, kw_only=True)
class Admission:
    """Whom a stream is for and until when, in seconds since 1970: what the caller's token says."""

    tenant_id: str
    user_id: str
    session_id: str
    permissions: int
    expires: int

    @classmethod
    def of(cls, token: AccessToken) -> Self:
        """Return what an access token admits to."""
        return cls(
            tenant_id=token.tenant_id,
            user_id=token.user_id,
            session_id=token.session_id,
            permissions=token.permissions,
            expires=token.expires,
        )

    def may_see(self, permission: int) -> bool:
        """Say whether the reader may see what takes this permission."""
        return permissions.has(self.permissions, permission)


@dataclass(frozen=True, slots=True)
class Ending:
    """Why a stream is ended: a problem, or none where the reader should just come back. `code` is a WebSocket's (RFC 6455, 7.4.1)."""

    problem: Problem | None
    code: int


class Reader:
    """The changes that wait for one client: all behind `since`, where each service's stream stood when the reader came."""

    __slots__ = ("_bytes", "_given", "_heard", "_waiting", "_wake", "admission", "cut", "ending", "since")

    def __init__(self, admission: Admission, since: Mapping[str, int]) -> None:
        self.admission = admission
        self.since = since
        self.ending: Ending | None = None
        self.cut = asyncio.Event()
        self._waiting: deque[Change] = deque()
        self._bytes = 0
        self._wake = asyncio.Event()
        self._heard = monotonic()
        self._given: float | None = None

    @property
    def has_waiting(self) -> bool:
        """Say whether there is something that the client was not given yet."""
        return bool(self._waiting)

    def place(self, positions: Mapping[str, int]) -> Mapping[str, int]:
        """Return what the reader has behind it where the streams were heard to `positions`: these, unless it began ahead of one."""
        if all(since <= positions[service] for service, since in self.since.items()):
            return positions
        return {service: max(position, self.since.get(service, 0)) for service, position in positions.items()}

    def offer(self, change: Change) -> None:
        """Let a change wait for the client; when too much waits, all of it is dropped and the client is told to read again."""
        if self.ending is not None:
            return
        if self._waiting and (len(self._waiting) >= MAX_WAITING or self._bytes + len(change.json) > MAX_BYTES):
            metrics.LIVE_RESYNCS.labels("slow").inc()
            self._waiting.clear()
            self._bytes = 0
            change = resync(change.id)
        self._waiting.append(change)
        self._bytes += len(change.json)
        self._wake.set()

    async def take(self) -> list[Change]:
        """Return what waits as soon as something does; nothing once the stream is ended."""
        self._given = None
        while not self._waiting and self.ending is None:
            self._wake.clear()
            await self._wake.wait()
        taken = list(self._waiting)
        self._waiting.clear()
        self._bytes = 0
        self._heard = self._given = monotonic()
        return taken

    def end(self, ending: Ending) -> None:
        """Send what waits and then the reason, and cut the connection of a client that does not take them."""
        if self.ending is None:
            self.ending = ending
            self._wake.set()
            asyncio.get_running_loop().call_later(LINGER, self.cut.set)

    def tick(self, now: float) -> None:
        """Do what is due: a sign of life, or the end of a client that takes nothing."""
        if self._given is not None and now - self._given > STALLED:
            self.cut.set()
        elif not self._waiting and now - self._heard >= SILENCE:
            self.offer(BEAT)
