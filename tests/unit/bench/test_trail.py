"""The bench of the audit trail ends, whatever a platform does."""

import asyncio
from typing import Any

import httpx
import pytest

from bench import trail
from tests.unit.chassis.moving import eventually


class Sealing:
    """A database in which rows are sealed as a test says, and then no more."""

    def __init__(self, *left: int) -> None:
        self._left = [*left]

    async def execute(self, _: bytes) -> "Sealing":
        return self

    async def fetchall(self) -> list[tuple[int]]:
        return [(self._left.pop(0) if len(self._left) > 1 else self._left[0],)]


def sealing(*left: int) -> Any:
    return Sealing(*left)


@pytest.fixture(autouse=True)
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trail, "POLL", 0.0)


async def test_it_waits_until_all_is_sealed() -> None:
    await trail._sealed(sealing(9, 9, 4, 0), "t", 9)


async def test_it_ends_when_nothing_is_sealed_any_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trail, "PATIENCE", 0.2)
    with pytest.raises(TimeoutError):
        await trail._sealed(sealing(9, 4), "t", 9)


def answering(status: int) -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url="http://edge", transport=httpx.MockTransport(lambda _: httpx.Response(status)))


async def test_a_call_beside_that_fails_ends_it() -> None:
    with pytest.raises(ExceptionGroup) as failed:
        async with answering(500) as client, trail._answering(client), asyncio.timeout(20):
            await asyncio.Event().wait()
    assert failed.group_contains(httpx.HTTPStatusError)


async def test_calls_beside_end_with_the_block() -> None:
    async with answering(200) as client, trail._answering(client) as answers:
        await eventually(lambda: bool(answers))
