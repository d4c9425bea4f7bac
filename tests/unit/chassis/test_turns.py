"""Long work gives way to whatever else waits for the loop, but not for ever, and nothing else does. Time passes only by what is done."""

import asyncio
from itertools import count

import pytest

from chassis import turns

PIECE = turns.TURN / 2
EPOCHS = count(10**8, 10**4)
"""When each test begins: behind all turns of the ones before it, which may have had the same loop."""


class Clock:
    """Stands still, but for the work that says how long it took."""

    def __init__(self, now: float) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now

    def work(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock(next(EPOCHS))
    monkeypatch.setattr(turns, "perf_counter", clock)
    return clock


class Calls:
    """Calls that need the loop again and again, a hundred times in all unless they never end."""

    def __init__(self, clock: Clock, rounds: int = 100) -> None:
        self._clock = clock
        self.left = rounds
        self._step()

    def _step(self) -> None:
        self._clock.work(PIECE / 4)
        self.left -= 1
        if self.left:
            asyncio.get_running_loop().call_soon(self._step)


async def test_what_is_not_long_waits_for_nobody(clock: Clock) -> None:
    calls = Calls(clock)
    before = calls.left
    for _ in range(10):
        await turns.give_way()
        clock.work(PIECE)
    assert await turns.mapped(clock.work, [PIECE] * 3) == [None] * 3
    assert calls.left == before


async def test_long_work_lets_calls_go_first_between_its_turns(clock: Clock) -> None:
    turns.begin_long_work()
    await turns.give_way()
    calls = Calls(clock, rounds=20)
    before = calls.left
    clock.work(PIECE)
    await turns.give_way()
    assert calls.left == before, "the turn was over too soon"
    clock.work(PIECE)
    await turns.give_way()
    assert calls.left == 0


async def test_long_work_goes_on_although_the_loop_is_never_quiet(clock: Clock) -> None:
    turns.begin_long_work()
    calls = Calls(clock, rounds=10**9)
    began = clock.now
    async with asyncio.timeout(60):
        await turns.mapped(lambda _: clock.work(turns.TURN), range(100))
    assert calls.left > 0
    share = 100 * turns.TURN / (clock.now - began)
    assert share >= turns.TURN / (turns.TURN + turns.PATIENCE) * 0.9


async def test_tasks_with_long_work_share_the_turns(clock: Clock) -> None:
    done: list[str] = []

    async def work(name: str) -> None:
        turns.begin_long_work()
        for _ in range(5):
            await turns.give_way()
            done.append(name)
            clock.work(turns.TURN)

    async with asyncio.timeout(60):
        await asyncio.gather(work("a"), work("b"), work("c"))
    assert done == ["a", "b", "c"] * 5


async def test_what_a_long_work_begins_is_long_and_what_ran_before_is_not(clock: Clock) -> None:
    begun: list[str] = []

    async def ask(name: str) -> None:
        await turns.give_way()
        begun.append(name)

    async def work() -> None:
        turns.begin_long_work()
        ahead = asyncio.create_task(ask("a part of the long work"))
        Calls(clock, rounds=20)
        await ahead

    long = asyncio.create_task(work())
    await asyncio.sleep(0)
    await asyncio.gather(long, ask("a call"))
    assert begun == ["a call", "a part of the long work"]


async def test_who_leaves_the_line_holds_up_nobody(clock: Clock) -> None:
    async def work() -> None:
        turns.begin_long_work()
        await turns.give_way()

    calls = Calls(clock, rounds=10**9)
    waiting = [asyncio.create_task(work()) for _ in range(3)]
    await asyncio.sleep(0)
    waiting[0].cancel()
    waiting[1].cancel()
    async with asyncio.timeout(60):
        ended = await asyncio.gather(*waiting, return_exceptions=True)
    assert [type(each) for each in ended] == [asyncio.CancelledError, asyncio.CancelledError, type(None)]
    calls.left = 1


async def test_things_are_made_in_their_order_and_parts_of_them_without_a_pause(clock: Clock) -> None:
    turns.begin_long_work()
    await turns.give_way()
    calls, seen = Calls(clock, rounds=10**9), list[int]()
    numbers = count()

    def make(thing: str) -> str:
        seen.append(calls.left)
        clock.work(turns.TURN)
        return f"{thing}{next(numbers)}"

    assert await turns.mapped(make, "abcdef", by=3) == ["a0", "b1", "c2", "d3", "e4", "f5"]
    assert [len({*seen[:3]}), len({*seen[3:]})] == [1, 1]
    assert seen[2] > seen[3]
    calls.left = 1
