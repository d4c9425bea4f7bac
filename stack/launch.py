"""Brings the platform up in order and takes it down in the reverse order."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager

from stack import bytecode, leftovers, ports, prepared
from stack.layout import Layout
from stack.processes.probes import http_ready, services_met
from stack.processes.supervisor import PROBE_PAUSE, Child, Command, StartError
from stack.settings import Settings
from stack.state import ProcessId, State
from stack.topology import CANARY, EDGE, NATS, POSTGRES, ROOT, SERVICES, Process, Service, admin
from stack.wiring import Wiring, provide_secrets

Tell = Callable[[str], None]
Start = Coroutine[None, None, None]


class Platform:
    """The processes of one installation. The caller holds the lock on its folder."""

    def __init__(self, settings: Settings, tell: Tell) -> None:
        self._settings = settings
        self._tell = tell
        self._children: dict[str, Child] = {}
        self._watching: asyncio.Task[None] | None = None
        self.layout = Layout(settings.data)
        self._end_leftovers()
        settled, moved = ports.settle(settings.host, settings.wanted_ports())
        for each in moved:
            tell(f"port {each.wanted} of {each.name} is busy, it takes {each.port}")
        self.wiring = Wiring(settings, self.layout, provide_secrets(self.layout.secrets), settled)
        self.state = State(supervisor=ProcessId.of(os.getpid()), url=self.wiring.public_url, ports=settled)

    def _end_leftovers(self) -> None:
        if (before := State.load(self.layout.state)) and (asked := leftovers.end(before)):
            self._tell(f"ended what an earlier start had left: {', '.join(asked)}")

    async def start(self) -> None:
        """Start everything. Raises StartError."""
        await asyncio.to_thread(bytecode.write)
        if self._is_prepared():
            # Services wait for what they stand on, so their imports need not wait for it.
            await _together([*self._backing(), *self._services()])
        else:
            await self.start_backing()
            await _together(self._services())
        await self._meet()
        self.state.complete = True
        self._watch()
        self.state.save(self.layout.state)

    async def _meet(self) -> None:
        """Wait until each edge reaches every service: the first calls would be refused else. Raises StartError."""
        try:
            async with asyncio.timeout(self._settings.ready_timeout):
                for name in self._settings.copies(EDGE):
                    have_met = services_met(self.wiring.address(admin(name)))
                    while not await have_met():  # noqa: ASYNC110 - another process's doing
                        await asyncio.sleep(PROBE_PAUSE)
        except TimeoutError:
            raise StartError(f"the edge does not reach every service after {self._settings.ready_timeout:g} s") from None

    def _watch(self) -> None:
        """Let the canary start, if there shall be one; nobody waits for it, and nothing fails with it."""
        if self._settings.canary:
            child = self._child(self._canary())
            self._watching = asyncio.create_task(self._start_watcher(child), name="start the canary")

    async def _start_watcher(self, child: Child) -> None:
        try:
            await child.start()
        except StartError as error:
            self._tell(str(error))

    async def start_backing(self) -> None:
        """Start PostgreSQL and NATS, unless the operator brings them, and prepare both. Raises StartError."""
        await _together(self._backing())
        if not self._is_prepared():
            from stack.prepare import prepare  # noqa: PLC0415 - its imports cost a second that most starts need not pay

            await prepare(self.wiring)
            prepared.remember(self.layout)

    def _is_prepared(self) -> bool:
        """Say whether the embedded servers hold what this release wants; of the operator's own servers nobody can know."""
        is_embedded = not (self._settings.database_url or self._settings.nats_url)
        return is_embedded and prepared.is_current(self.layout)

    def _backing(self) -> Iterator[Start]:
        if not self._settings.database_url:
            yield self._start_postgres()
        if not self._settings.nats_url:
            yield self._start_nats()

    def _services(self) -> Iterator[Start]:
        for service in (*SERVICES, EDGE):
            for name in self._settings.copies(service):
                yield self._start(self._service(service, name))

    async def stop(self) -> None:
        """Stop the canary, the edge, then the services, then what they stand on; each finishes its work."""
        if self._watching:
            self._watching.cancel()
            await asyncio.wait([self._watching])
        await self._stop([CANARY.name])
        await self._stop(self._settings.copies(EDGE))
        await self._stop(name for service in SERVICES for name in self._settings.copies(service))
        await self._stop([NATS])
        await self._stop([POSTGRES])
        self.layout.state.unlink(missing_ok=True)

    async def _start_postgres(self) -> None:
        await self.wiring.cluster.create()
        await self._start(self.wiring.cluster.command())

    async def _start_nats(self) -> None:
        await self._start(self.wiring.broker.command())

    def _service(self, service: Service, name: str) -> Command:
        address = self.wiring.address(service.name if service is EDGE else name)
        return self._command(service, name, self.wiring.environment(service, name), address=address)

    def _canary(self) -> Command:
        return self._command(CANARY, CANARY.name, self.wiring.canary_environment(), address="", needed=False)

    def _command(self, process: Process, name: str, env: Mapping[str, str], *, address: str, needed: bool = True) -> Command:
        admin_address = self.wiring.address(admin(name))
        return Command(
            name=name,
            argv=[sys.executable, "-m", process.module],
            env=env,
            cwd=ROOT,
            log=self.layout.log(name),
            address=address,
            admin=admin_address,
            needed=needed,
            probe=http_ready(admin_address, "/readyz"),
            ready_timeout=self._settings.ready_timeout,
            stop_timeout=self._settings.stop_timeout,
        )

    async def _start(self, command: Command) -> None:
        await self._child(command).start()

    def _child(self, command: Command) -> Child:
        self.layout.rotate_log(command.name)
        child = self._children[command.name] = Child(command, self._changed)
        self.state.processes[command.name] = child.running
        return child

    async def _stop(self, names: Iterable[str]) -> None:
        await asyncio.gather(*(self._children[name].stop() for name in names if name in self._children))

    def _changed(self, child: Child) -> None:
        self.state.save(self.layout.state)
        if child.running.restarts and child.running.phase not in {"starting", "stopping", "stopped"}:
            self._tell(f"{child.command.name}: {child.running.phase} (log: {child.command.log})")


async def _together(starts: Iterable[Start]) -> None:
    """Run the starts at once; when one fails the others are given up, and its error is raised."""
    try:
        async with asyncio.TaskGroup() as group:
            for start in starts:
                group.create_task(start)
    except ExceptionGroup as failed:
        raise failed.exceptions[0] from None


@asynccontextmanager
async def running(settings: Settings, tell: Tell) -> AsyncIterator[Platform]:
    """Run the whole platform for the length of a block. Raises StartError, InUseError."""
    async with _installed(settings, tell) as platform:
        await platform.start()
        yield platform


@asynccontextmanager
async def backing(settings: Settings, tell: Tell) -> AsyncIterator[Platform]:
    """Run PostgreSQL and NATS alone, with all databases and streams prepared. Raises StartError, InUseError."""
    async with _installed(settings, tell) as platform:
        await platform.start_backing()
        yield platform


@asynccontextmanager
async def _installed(settings: Settings, tell: Tell) -> AsyncIterator[Platform]:
    """Hold the installation's folder; at the end whatever was started is stopped."""
    layout = Layout(settings.data)
    layout.create()
    with layout.lock():
        platform = Platform(settings, tell)
        try:
            yield platform
        finally:
            await platform.stop()
