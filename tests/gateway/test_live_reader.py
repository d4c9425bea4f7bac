"""One reader's buffer: bounded, with signs of life, and ended in time."""

import asyncio

import pytest

from chassis.errors import Reason
from gateway.live import reader as readers
from gateway.live.changes import BEAT, Change
from gateway.live.reader import MAX_BYTES, MAX_WAITING, SILENCE, STALLED, Admission, Ending, Reader
from gateway.live.seal import Seal, SealError
from gateway.problems import Problem

NOBODY = Admission(tenant_id="t", user_id="u", session_id="s", permissions=0b10, expires=0)
ENDED = Ending(Problem(401, Reason.TOKEN_INVALID, "over"), 1008)


@pytest.fixture
def reader(monkeypatch: pytest.MonkeyPatch) -> Reader:
    monkeypatch.setattr(readers, "monotonic", lambda: 1000.0)
    monkeypatch.setattr(readers, "LINGER", 0.01)
    return Reader(NOBODY, {})


def change(name: str, size: int = 10) -> Change:
    return Change(name, b"x" * size, b"")


async def test_what_waits_is_taken_at_once_and_in_order(reader: Reader) -> None:
    taking = asyncio.create_task(reader.take())
    await asyncio.sleep(0)
    for name in "abc":
        reader.offer(change(name))
    assert [each.id for each in await taking] == ["a", "b", "c"]


@pytest.mark.parametrize(("count", "size"), [(MAX_WAITING, 1), (4, MAX_BYTES // 4)])
async def test_too_much_becomes_one_resync_and_what_came_after_it(reader: Reader, count: int, size: int) -> None:
    for number in range(count + 1):
        reader.offer(change(str(number), size))
    reader.offer(change("after"))
    first, second = await reader.take()
    assert (first.json, second.id) == (b'{"id":"%d","type":"resync"}' % count, "after")


async def test_one_large_change_goes_alone(reader: Reader) -> None:
    reader.offer(change("large", 10 * MAX_BYTES))
    assert [each.id for each in await reader.take()] == ["large"]


async def test_silence_is_broken(reader: Reader) -> None:
    reader.tick(1000 + SILENCE - 1)
    reader.tick(1000 + SILENCE)
    reader.tick(1000 + SILENCE)
    assert await reader.take() == [BEAT]


async def test_a_client_that_takes_nothing_is_cut(reader: Reader) -> None:
    reader.offer(change("a"))
    await reader.take()
    reader.tick(1000 + STALLED)
    assert not reader.cut.is_set()
    reader.tick(1000 + STALLED + 1)
    assert reader.cut.is_set()


async def test_the_end_comes_after_what_waits_and_is_final(reader: Reader) -> None:
    reader.offer(change("a"))
    reader.end(ENDED)
    reader.end(Ending(None, 1012))
    reader.offer(change("late"))
    assert [each.id for each in await reader.take()] == ["a"]
    assert await reader.take() == []
    assert reader.ending is ENDED
    await asyncio.wait_for(reader.cut.wait(), 60)


def test_permissions_decide_what_is_seen() -> None:
    assert [NOBODY.may_see(number) for number in range(3)] == [False, True, False]


def test_a_seal_is_opened_for_its_purpose_only() -> None:
    seal = Seal(b"secret")
    closed = seal.close({"crm": 7}, "event", "a")
    assert Seal(b"secret").open(closed, "event", "a") == {"crm": 7}
    for wrong in (closed[:-1], closed + "A", closed.swapcase(), "", "\N{BULLET}"):
        with pytest.raises(SealError):
            seal.open(wrong, "event", "a")
    for purpose in (("event", "b"), ("ticket", "a"), ("event",), ("event", "a", "")):
        with pytest.raises(SealError):
            seal.open(closed, *purpose)
    with pytest.raises(SealError):
        Seal(b"another").open(closed, "event", "a")
