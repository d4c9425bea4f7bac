"""Callers of the session's platform."""

import asyncio
import sys
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import replace

import httpx
import pytest

from stack import ports
from stack.topology import CANARY, admin
from stack.wiring import Wiring
from tests import patience
from tests.conftest import Register
from tests.platform.collector import Collector
from tests.platform.signed_in import SignedIn

SignUp = Callable[[], Awaitable[SignedIn]]
Metrics = Callable[[], Awaitable[str]]


@pytest.fixture(scope="session")
def sign_up(edge: httpx.AsyncClient, register: Register) -> SignUp:
    """`await sign_up()` returns the owner of a fresh organisation, ready to call."""

    async def make() -> SignedIn:
        return SignedIn(await register(), edge)

    return make


@pytest.fixture
async def owner(sign_up: SignUp) -> SignedIn:
    """The owner of an organisation that this test has for itself."""
    return await sign_up()


@pytest.fixture
def collector() -> Iterator[Collector]:
    """A collector for traces."""
    with Collector() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture(scope="session")
async def canary(platform: Wiring, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Metrics]:
    """An isolation canary in a hurry on the session's platform: `await canary()` returns its metrics."""
    moved, _ = ports.settle("127.0.0.1", {admin(CANARY.name): 0})
    wiring = replace(platform, ports={**platform.ports, **moved})
    environment = {**wiring.canary_environment(), "KITH_CANARY_ROUND_SECONDS": "1"}
    with (tmp_path_factory.mktemp("canary") / "canary.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(sys.executable, "-m", CANARY.module, env=environment, stdout=log, stderr=log)

    async def metrics() -> str:
        transport = httpx.AsyncHTTPTransport(retries=10)  # with growing pauses, while it starts
        async with httpx.AsyncClient(transport=transport, timeout=patience.SECONDS) as client:
            return (await client.get(f"http://{wiring.address(admin(CANARY.name))}/metrics")).text

    yield metrics
    process.terminate()
    assert await process.wait() == 0
