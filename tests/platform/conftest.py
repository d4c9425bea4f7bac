"""Callers of the session's platform."""

import threading
from collections.abc import Awaitable, Callable, Iterator

import httpx
import pytest

from tests.conftest import Register
from tests.platform.collector import Collector
from tests.platform.signed_in import SignedIn

SignUp = Callable[[], Awaitable[SignedIn]]


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
