"""Gates: as many calls as there are places, a queue that ends, and refusals at once where it does not."""

import asyncio

import pytest

from gateway import admission
from gateway.admission import Gate, Gates
from gateway.problems import Problem


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever is let wait has all the time of a slow machine; nobody is refused but by what a test says."""
    monkeypatch.setattr(admission, "PATIENCE", FOR_EVER)
    monkeypatch.setattr(admission, "SHORT_PATIENCE", 0.01)
    monkeypatch.setattr(admission, "STANDING", FOR_EVER)


FOR_EVER = 600.0
SECONDS = 60.0  # in which nothing comes that takes for ever
REFUSED = "503, come again in 1 s"


class Work:
    """Calls through a gate that last as long as the test says."""

    def __init__(self, *, size: int) -> None:
        self.gate = Gate("crm", "READ", size=size)
        self.end = asyncio.Event()
        self.running = self.most = 0

    async def call(self) -> str:
        try:
            async with self.gate:
                self.running += 1
                self.most = max(self.most, self.running)
                await self.end.wait()
                self.running -= 1
        except Problem as problem:
            return f"{problem.status}, come again in {problem.retry_after} s"
        return "done"

    def start(self, count: int) -> list[asyncio.Task[str]]:
        return [asyncio.create_task(self.call()) for _ in range(count)]


async def test_no_more_calls_run_than_there_are_places() -> None:
    work = Work(size=3)
    calls = work.start(20)
    await asyncio.sleep(0.01)
    work.end.set()
    assert await asyncio.gather(*calls) == ["done"] * 20
    assert work.most == 3


async def test_a_call_waits_for_a_moment_and_is_refused_then(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(admission, "PATIENCE", 0.2)
    work = Work(size=1)
    began = asyncio.get_running_loop().time()
    first, second = work.start(2)
    assert await asyncio.wait_for(second, SECONDS) == REFUSED
    assert asyncio.get_running_loop().time() - began >= 0.2
    work.end.set()
    assert await first == "done"


async def test_where_the_queue_does_not_end_a_call_waits_hardly_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(admission, "STANDING", 0.1)
    work = Work(size=1)
    work.start(2)
    await asyncio.sleep(0.15)
    (late,) = work.start(1)
    assert await asyncio.wait_for(late, SECONDS) == REFUSED


async def test_where_the_queue_does_not_end_nothing_more_is_even_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(admission, "STANDING", 0.1)
    work = Work(size=1)
    work.start(3)
    work.gate.check()
    await asyncio.sleep(0.15)
    with pytest.raises(Problem, match="OVERLOADED"):
        work.gate.check()


async def test_a_full_queue_refuses_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(admission, "MOST_WAITING", 2)
    work = Work(size=1)
    calls = work.start(4)
    assert await calls[-1] == REFUSED
    work.end.set()
    assert await asyncio.gather(*calls) == ["done", "done", "done", REFUSED]


async def test_a_client_that_goes_away_gives_its_place_to_the_next() -> None:
    work = Work(size=1)
    first, second, third = work.start(3)
    await asyncio.sleep(0)
    second.cancel()
    first.cancel()
    await asyncio.sleep(0.01)
    work.end.set()
    assert await third == "done"
    assert await work.call() == "done"


async def test_a_place_that_comes_too_late_is_handed_on() -> None:
    work = Work(size=1)
    first, second, third = work.start(3)
    await asyncio.sleep(0)
    work.end.set()
    await first  # its place is the second's in the same turn
    second.cancel()
    assert await third == "done"
    assert await work.call() == "done"


async def test_kinds_of_work_do_not_hold_each_other_up() -> None:
    gates = Gates(1, writes=1)
    assert gates.gate("crm", "READ") is gates.gate("crm", "READ")
    async with gates.gate("crm", "READ"), gates.gate("crm", "WRITE"), gates.gate("identity", "READ"):
        pass
