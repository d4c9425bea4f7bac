"""Who gets a turn of the worker: a few runs at once, one of each tenant, whoever waits longest first."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from types import SimpleNamespace
from typing import Any

import pytest

from chassis import clock
from chassis.context import current
from services.crm.runs import worker
from services.crm.runs.store import Run
from services.crm.runs.worker import Worker

SLOTS = 2


class Runs:
    """Stands for the table of runs: what is due by tenant, what was put off, and what was given back as if nobody had had it."""

    def __init__(self) -> None:
        self.due: dict[str, list[str]] = {}
        self.put: list[str] = []
        self.given_back: list[str] = []

    async def tenants_with_due(self, _: Any) -> list[str]:
        return sorted(tenant for tenant, runs in self.due.items() if runs)

    async def claim(self, work: Any) -> Run | None:
        due = self.due[work.tenant_id]
        return Run(due.pop(0), work.tenant_id, "test", "", "", "", 1) if due else None

    async def put_off(self, work: Any, run: Run, until: datetime) -> None:
        assert until >= work.now
        self.put.append(run.id)

    async def give_back(self, _: Any, run: Run) -> None:
        self.given_back.append(run.id)


class Runner:
    """Does runs when it is told to, and knows how many it had at once."""

    def __init__(self) -> None:
        self.begun: list[str] = []
        self.ended: list[str] = []
        self.running: Counter[str] = Counter()
        self.most = 0
        self.let_go = 0
        self.may_end = asyncio.Semaphore(0)

    async def run(self, run: Run) -> None:
        self.begun.append(run.id)
        self.running[run.tenant_id] += 1
        self.most = max(self.most, self.running.total())
        assert self.running[run.tenant_id] == 1
        try:
            await self.may_end.acquire()
            if run.id.endswith("bad"):
                raise ValueError(run.id)
        finally:
            self.running[run.tenant_id] -= 1
        self.ended.append(run.id)

    async def give_up(self, run: Run) -> None:
        raise AssertionError(run.id)


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> Runs:
    @asynccontextmanager
    async def unit_of_work(tenant_id: str | None = None) -> AsyncIterator[Any]:
        yield SimpleNamespace(tenant_id=current().caller.tenant_id if tenant_id is None else tenant_id, now=clock.now())

    found = Runs()
    monkeypatch.setattr(worker, "store", found)
    monkeypatch.setattr(worker, "unit_of_work", unit_of_work)
    monkeypatch.setattr(worker, "POLL", 0.01)
    return found


@pytest.fixture
async def runner(runs: Runs) -> AsyncIterator[Runner]:
    """A worker at work; it is drained at the end."""
    doing = Runner()
    database: Any = None
    working = asyncio.create_task(Worker(database, {"test": doing}, slots=SLOTS).work())
    yield doing
    working.cancel()
    with pytest.raises(asyncio.CancelledError):
        await working
    assert sorted(runs.given_back) == sorted(set(doing.begun) - set(doing.ended) - set(runs.put))
    assert not doing.running.total()


async def begin(runner: Runner, count: int) -> None:
    """Wait until so many runs have begun."""
    async with asyncio.timeout(60):
        while len(runner.begun) < count:  # noqa: ASYNC110 - the worker has no event for this
            await asyncio.sleep(0.01)


async def end(runner: Runner, count: int) -> None:
    """Let so many runs end, one after the other, each when the slots are full again."""
    for _ in range(count):
        await begin(runner, runner.let_go + 1)
        runner.let_go += 1
        runner.may_end.release()
        await asyncio.sleep(0.05)


async def test_each_tenant_has_one_run_at_a_time_and_its_turn_before_anybodys_second(runs: Runs, runner: Runner) -> None:
    runs.due = {tenant: [f"{tenant}{number}" for number in range(3)] for tenant in "abcde"}
    await end(runner, 15)
    for turn in range(3):
        assert {each[0] for each in runner.begun[turn * 5 : turn * 5 + 5]} == set("abcde"), runner.begun
    assert runner.most == SLOTS


async def test_what_fails_is_put_off_and_holds_up_nobody(runs: Runs, runner: Runner) -> None:
    runs.due = {"a": ["a0 bad", "a1"], "b": ["b0"]}
    await end(runner, 3)
    assert (set(runner.ended), runs.put) == ({"a1", "b0"}, ["a0 bad"])


async def test_what_is_under_way_is_given_back_when_the_worker_ends(runs: Runs, runner: Runner) -> None:
    runs.due = {"a": ["a0"], "b": ["b0"], "c": ["c0"]}
    await begin(runner, SLOTS)
    await asyncio.sleep(0.05)
    assert (len(runner.begun), runs.put) == (SLOTS, [])
