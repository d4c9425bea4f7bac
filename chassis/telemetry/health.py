"""Whether this process lives and may be called, worked out on the event loop and read from any thread."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Final

import structlog

from chassis.telemetry import metrics

BEAT: Final = 0.25  # seconds between two heartbeats
HUNG: Final = 10.0  # seconds without a heartbeat after which the process counts as dead
INTERVAL: Final = 2.0  # seconds between two rounds of checks
NOT_READY_INTERVAL: Final = 0.05  # seconds while calls cannot come here: starting and coming back are what people wait for
TIMEOUT: Final = 1.5  # seconds that one check may take
FAILURES: Final = 3  # in a row make a dependency count as down: one lost packet does not take a process out

Check = Callable[[], Awaitable[None]]

log = structlog.get_logger()


@dataclass(slots=True)
class Dependency:
    """What is known about one thing that the process cannot work without."""

    up: bool = False
    failures: int = 0
    error_type: str = "unchecked"

    def succeeded(self) -> None:
        """Count a check that passed."""
        self.up, self.failures, self.error_type = True, 0, ""

    def failed(self, error: BaseException) -> None:
        """Count a check that failed."""
        self.failures += 1
        self.error_type = type(error).__name__
        self.up = self.up and self.failures < FAILURES


class Health:
    """The heartbeat of the event loop and the state of each dependency; a check passes if it does not raise."""

    def __init__(self, checks: Mapping[str, Check], *, hung: float = HUNG, interval: float = INTERVAL) -> None:
        self._checks = checks
        self._hung = hung
        self._interval = interval
        self._beat: float | None = None
        self.dependencies = {name: Dependency() for name in checks}
        self.started = False
        self.draining = False

    @property
    def alive(self) -> bool:
        """Say whether the event loop turns; a process that has not started its loop yet is given the time to."""
        return self._beat is None or time.monotonic() - self._beat < self._hung

    @property
    def ready(self) -> bool:
        """Say whether calls should come here."""
        return self.started and not self.draining and self.alive and all(each.up for each in self.dependencies.values())

    async def watch(self) -> None:
        """Beat and check until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._beat_on())
            group.create_task(self._check_on())

    async def _beat_on(self) -> None:
        while True:
            before = self._beat = time.monotonic()
            await asyncio.sleep(BEAT)
            metrics.EVENT_LOOP_LAG.observe(max(0.0, time.monotonic() - before - BEAT))

    async def _check_on(self) -> None:
        while True:
            await self.check()
            await asyncio.sleep(self._interval if self.ready else min(self._interval, NOT_READY_INTERVAL))

    async def check(self) -> None:
        """Check every dependency once, side by side."""
        was_ready, were_down = self.ready, self._down()
        await asyncio.gather(*(self._check(name) for name in self._checks))
        metrics.READY.set(self.ready)
        down = self._down()
        # What comes up one by one before the process is ready is no news; later each change is.
        if self.ready != was_ready or (self.started and down.keys() != were_down.keys()):
            tell = log.warning if down.keys() - were_down.keys() else log.info
            tell("readiness_changed", ready=self.ready, down=down)

    def _down(self) -> dict[str, str]:
        """Return the dependencies that are down, with the type of the error."""
        return {name: each.error_type for name, each in self.dependencies.items() if not each.up}

    async def _check(self, name: str) -> None:
        dependency = self.dependencies[name]
        try:
            async with asyncio.timeout(TIMEOUT):
                await self._checks[name]()
        except Exception as error:  # noqa: BLE001 - whatever a check raises, it means that the dependency is down
            dependency.failed(error)
        else:
            dependency.succeeded()
