"""The worker: does a few runs side by side, each in the name of who asked for it. Several processes share the work."""

import asyncio
import contextlib
from collections.abc import Mapping
from datetime import timedelta
from typing import Final, Protocol

import structlog

from chassis import ids, turns
from chassis.context import Caller, CallerKind, Request, enter, enter_as
from chassis.database import NO_TENANT, Database, failures, unit_of_work
from services.crm.runs import actions, store
from services.crm.runs.actions import LeaseLostError
from services.crm.runs.store import Run

SERVICE: Final = "crm"
POLL: Final = 1.0  # seconds between two looks when nobody pokes: what other processes asked for or left
PAUSE: Final = timedelta(seconds=5)  # after a failure, before the run is taken again
ATTEMPTS: Final = 5  # without a step forward; then the run is given up

log = structlog.get_logger()


class Runner(Protocol):
    """What does the work of one kind of run."""

    async def run(self, run: Run) -> None:
        """Do the work from where it stands, in steps that are repeated when a process dies; the last one says `done`."""
        ...

    async def give_up(self, run: Run) -> None:
        """Say that the work failed for good, and `done`."""
        ...


class Worker:
    """Does what is due: at most `slots` runs at once, and of each tenant one, so that nobody's long run holds up everybody else."""

    def __init__(self, database: Database, runners: Mapping[str, Runner], *, slots: int) -> None:
        self._database = database
        self._runners = runners
        self._slots = slots
        self._queue: dict[str, None] = {}
        self._served: set[str] = set()
        self._asked = actions.waker()

    async def work(self) -> None:
        """Keep the slots filled until cancelled; then what is under way is given back, for whoever comes next."""
        async with asyncio.TaskGroup() as group:
            while True:
                self._asked.clear()
                if len(self._served) < self._slots:
                    await self._look()
                    self._fill(group)
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._asked.wait(), POLL)

    async def _look(self) -> None:
        """Queue the tenants that have something due, whoever waits longer before the others."""
        enter_as(SERVICE, self._database, origin="runs")
        try:
            async with unit_of_work(NO_TENANT) as work:
                due = dict.fromkeys(await store.tenants_with_due(work))
        except Exception as error:  # noqa: BLE001 - whatever it is, the worker goes on
            _tell("runs", error)
            return
        self._queue = {each: None for each in (self._queue | due) if each in due and each not in self._served}

    def _fill(self, group: asyncio.TaskGroup) -> None:
        for tenant_id in list(self._queue)[: self._slots - len(self._served)]:
            del self._queue[tenant_id]
            self._served.add(tenant_id)
            group.create_task(self._serve(tenant_id), name=f"run of {tenant_id}")

    async def _serve(self, tenant_id: str) -> None:
        """Do one run of a tenant, whose next one has its turn behind the others'."""
        took = False
        turns.begin_long_work()
        try:
            took = await self._take(tenant_id)
        except Exception as error:  # noqa: BLE001 - likewise
            _tell("runs", error)
        finally:
            self._served.discard(tenant_id)
        if took:
            self._asked.set()

    async def _take(self, tenant_id: str) -> bool:
        """Do the run of a tenant that is longest due; say whether there was one."""
        enter_as(SERVICE, self._database, origin="runs", tenant_id=tenant_id)
        async with unit_of_work() as work:
            run = await store.claim(work)
        if run is None:
            return False
        enter(Request(request_id=ids.new(), database=self._database, caller=_doer(run), origin=f"run {run.kind}"))
        try:
            await self._do(run)
        except LeaseLostError:
            log.warning("run_lost", run=run.id, kind=run.kind)
        except asyncio.CancelledError:
            async with unit_of_work() as work:
                await store.give_back(work, run)
            raise
        except Exception as error:  # noqa: BLE001 - likewise
            _tell("run", error, run=run.id, kind=run.kind, attempts=run.attempts)
            await self._put_off(run, PAUSE)
        return True

    async def _do(self, run: Run) -> None:
        runner = self._runners[run.kind]
        await (runner.run(run) if run.attempts <= ATTEMPTS else runner.give_up(run))

    async def _put_off(self, run: Run, pause: timedelta) -> None:
        async with unit_of_work() as work:
            await store.put_off(work, run, work.now + pause)


def _tell(what: str, error: Exception, **context: object) -> None:
    """Log a failure: a database that is away, as at every restart of it, is no fault of ours."""
    if failures.refusal(error):
        log.warning(f"{what}_interrupted", error_type=type(error).__name__, **context)
    else:
        log.error(f"{what}_failed", exc_info=error, **context)


def _doer(run: Run) -> Caller:
    """Return who a run is done as: the user who asked for it."""
    if run.user_id:
        return Caller(kind=CallerKind.USER, tenant_id=run.tenant_id, user_id=run.user_id)
    return Caller(kind=CallerKind.SERVICE, service=SERVICE, tenant_id=run.tenant_id)
