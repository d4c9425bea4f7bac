"""Callers of the session's platform."""

from collections.abc import Awaitable, Callable

import httpx
import pytest

from tests.conftest import Register
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
