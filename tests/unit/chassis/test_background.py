"""Work beside the calls ends with its block, and a block does not outlive its failure."""

import asyncio

import pytest

from chassis import background
from chassis.background import task


async def test_work_that_fails_ends_its_block_with_its_failure() -> None:
    async def fail() -> None:
        raise ValueError("gone")

    async with asyncio.timeout(60):
        with pytest.raises(ValueError, match="gone"):
            async with task(fail(), name="failing"):
                await asyncio.Event().wait()


async def test_work_that_returns_leaves_its_block_alone() -> None:
    async with task(asyncio.sleep(0), name="short") as running:
        await running
        await asyncio.sleep(0)


async def test_work_ends_with_its_block_whatever_the_block_raises() -> None:
    with pytest.raises(KeyError):
        async with task(asyncio.Event().wait(), name="long") as running:
            raise KeyError
    assert running.cancelled()


async def test_work_that_forgets_that_it_was_cancelled_is_told_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(background, "LAST_WORDS", 0.01)
    told = 0

    async def forget_twice() -> None:
        nonlocal told
        while True:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                told += 1
                if told == 3:
                    raise

    async with asyncio.timeout(60), task(forget_twice(), name="forgetful"):
        await asyncio.sleep(0)
    assert told == 3
