"""A process that is asked to end finishes what it began: each request has its answer, or a refusal that says when to come again."""

import asyncio
import random
import signal
import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Final

import httpx
import pytest

from stack.topology import EDGE, SERVICES
from tests.chaos.load import Writer
from tests.chaos.shaken import SETTLE_SECONDS, Shaken
from tests.unit.chassis.moving import eventually

pytestmark = pytest.mark.chaos

CALLERS: Final = 6
ANSWER_SECONDS: Final = 60
PAUSE: Final = 0.05


class Caller:
    """Calls over fresh connections and notes every answer that is none."""

    def __init__(self, base: str, token: str) -> None:
        self._base = base
        self._headers = {"authorization": f"Bearer {token}", "connection": "close"}
        self.made: list[str] = []
        self.faults: list[str] = []
        self.refused = 0

    async def call_until(self, stopping: asyncio.Event) -> None:
        """Create contacts and list them."""
        async with httpx.AsyncClient(base_url=self._base, headers=self._headers, timeout=ANSWER_SECONDS) as edge:
            while not stopping.is_set():
                await self._call(edge, "POST", json={"givenName": uuid.uuid4().hex})
                await self._call(edge, "GET", params={"pageSize": "5"})

    async def _call(self, edge: httpx.AsyncClient, verb: str, **options: object) -> None:
        try:
            answer = await edge.request(verb, "/v1/contacts", **options)  # type: ignore[arg-type]
        except httpx.ConnectError:
            self.refused += 1  # nobody listened, so nothing was asked
            await asyncio.sleep(PAUSE)
        except httpx.TransportError as error:
            self.faults.append(repr(error))
        else:
            self._note(verb, answer)

    def _note(self, verb: str, answer: httpx.Response) -> None:
        if answer.is_success and verb == "POST":
            self.made.append(answer.json()["id"])
        elif answer.status_code == httpx.codes.SERVICE_UNAVAILABLE and "retry-after" in answer.headers:
            self.refused += 1
        elif not answer.is_success:
            self.faults.append(f"{answer.status_code} {answer.text}")


@asynccontextmanager
async def callers(edge: httpx.AsyncClient) -> AsyncIterator[list[Caller]]:
    """Call from several sides inside the block."""
    owner = Writer(edge, random.Random())
    await owner.register()
    found = [Caller(str(edge.base_url), owner.token) for _ in range(CALLERS)]
    stopping = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        for caller in found:
            group.create_task(caller.call_until(stopping))
        yield found
        stopping.set()


@pytest.mark.parametrize("name", [EDGE.name, *(service.name for service in SERVICES if service.name in ("crm", "identity"))])
async def test_a_process_that_is_asked_to_end_answers_what_it_was_asked(shaken: Shaken, shaken_edge: httpx.AsyncClient, name: str) -> None:
    await shaken.settled()
    async with callers(shaken_edge) as calling:
        await _all_are_answered(calling)
        before = shaken.state.processes[name].restarts
        assert shaken.signal(name, signal.SIGTERM)
        await shaken.restarted(name, before)
        await _all_are_answered(calling)
    assert [fault for caller in calling for fault in caller.faults] == []


async def _all_are_answered(calling: Sequence[Caller]) -> None:
    """Return when each caller created one more contact than now."""
    before = [len(caller.made) for caller in calling]
    more = lambda: all(len(caller.made) > made for caller, made in zip(calling, before, strict=True))  # noqa: E731 - it is only waited for
    await eventually(more, seconds=SETTLE_SECONDS, pause=PAUSE)
