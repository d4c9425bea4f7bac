"""Keeps one child alive: starts it, waits until it is ready, restarts it with growing pauses, stops it in peace."""

import asyncio
import signal
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import psutil

from stack.processes.spawn import Account, spawn
from stack.state import ProcessId, Running

FIRST_PAUSE: Final = 0.2
LONGEST_PAUSE: Final = 10.0
CALM_SECONDS: Final = 30.0
"""A child that lived as long as this starts its pauses anew."""
PROBE_PAUSE: Final = 0.03
LOG_TAIL: Final = 20

Probe = Callable[[], Awaitable[bool]]


class StartError(Exception):
    """A child did not become ready; the text ends with the last lines of its log."""


async def nothing() -> None:
    """Do nothing: most children need no preparation."""


@dataclass(frozen=True, kw_only=True)
class Command:
    """How a child is started, how it shows that it is ready, and how it is asked to stop."""

    name: str
    argv: Sequence[str]
    env: Mapping[str, str]
    cwd: Path
    log: Path
    address: str
    admin: str = ""
    needed: bool = True
    """Whether calls need it, so that the platform is ready only with it."""
    probe: Probe
    before: Callable[[], Awaitable[None]] = nothing
    account: Account | None = None
    stop_signal: signal.Signals = signal.SIGTERM
    death_signal: signal.Signals = signal.SIGKILL
    """What the kernel sends when `kith up` was killed: services are safe to kill at any point, servers shut down."""
    ready_timeout: float
    stop_timeout: float


@dataclass(eq=False)
class Child:
    """A supervised process. `changed` is called whenever `running` says something new."""

    command: Command
    changed: Callable[["Child"], None]
    running: Running = field(init=False)
    _process: asyncio.subprocess.Process | None = field(default=None, init=False)
    _life: asyncio.Task[None] | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        self.running = Running(address=self.command.address, admin=self.command.admin, needed=self.command.needed)

    async def start(self) -> None:
        """Start the child and return when it is ready. Raises StartError when it ends, or is silent for too long."""
        began = time.monotonic()
        await self._spawn()
        if not await self._became_ready():
            raise StartError(f"{self.command.name} did not start: {self._ending()}")
        self.running.ready_seconds = round(time.monotonic() - began, 3)
        self._say("ready")
        self._life = asyncio.create_task(self._keep_alive(), name=f"keep {self.command.name} alive")

    async def stop(self) -> None:
        """Ask the child to stop and wait; end it when it takes longer than its grace."""
        if self._life:
            self._life.cancel()
            with suppress(asyncio.CancelledError):
                await self._life
        process = self._process
        if process is None or process.returncode is not None:
            return
        self._say("stopping")
        process.send_signal(self.command.stop_signal)
        try:
            await asyncio.wait_for(process.wait(), self.command.stop_timeout)
        except TimeoutError:
            process.kill()
            await process.wait()
        self._say("stopped")

    async def _keep_alive(self) -> None:
        pause = FIRST_PAUSE
        while True:
            born = time.monotonic()
            await self._ended()
            if time.monotonic() - born > CALM_SECONDS:
                pause = FIRST_PAUSE
            self.running.restarts += 1
            self._say(f"ended with {self._code()}, restarting")
            await asyncio.sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE)
            await self._spawn()
            if await self._became_ready():
                self._say("ready")

    async def _spawn(self) -> None:
        command = self.command
        await command.before()
        self._process = await spawn(
            command.argv, env=command.env, log=command.log, account=command.account, death_signal=command.death_signal, cwd=command.cwd
        )
        with suppress(psutil.NoSuchProcess):  # it ended at once; whoever waits for it says so
            self.running.id = ProcessId.of(self._process.pid)
        self._say("starting")

    async def _became_ready(self) -> bool:
        """Wait for the first of: the probe's yes, the child's end, the deadline. A silent child is ended."""
        probing = asyncio.create_task(self._probe_until_ready())
        ending = asyncio.create_task(self._ended())
        try:
            async with asyncio.timeout(self.command.ready_timeout):
                await asyncio.wait({probing, ending}, return_when=asyncio.FIRST_COMPLETED)
            return probing.done() and probing.result() is None
        except TimeoutError:
            self._kill()
            return False
        finally:
            probing.cancel()
            ending.cancel()

    async def _probe_until_ready(self) -> None:
        while not await self.command.probe():  # noqa: ASYNC110 - the child cannot set an event of ours
            await asyncio.sleep(PROBE_PAUSE)

    async def _ended(self) -> None:
        if self._process:
            await self._process.wait()

    def _kill(self) -> None:
        if self._process and self._process.returncode is None:
            self._process.kill()

    def _code(self) -> int | None:
        return self._process.returncode if self._process else None

    def _say(self, phase: str) -> None:
        self.running.phase = phase
        self.changed(self)

    def _ending(self) -> str:
        code = self._code()
        cause = f"not ready after {self.command.ready_timeout:g} s" if code is None else f"it ended with {code}"
        tail = self.command.log.read_text(errors="replace").splitlines()[-LOG_TAIL:]
        return "\n  ".join([f"{cause}. The end of {self.command.log}:", *tail])
