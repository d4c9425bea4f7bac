"""A platform of their own for tests that kill its processes."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import pytest

from stack.topology import EDGE
from tests.chaos.shaken import SETTLE_SECONDS, Shaken


@pytest.fixture(scope="session")
def shaken(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shaken]:
    """A platform that these tests alone use."""
    platform = Shaken(Path(tmp_path_factory.mktemp("shaken")))
    platform.up()
    yield platform
    platform.down()


@pytest.fixture
async def shaken_edge(shaken: Shaken) -> AsyncIterator[httpx.AsyncClient]:
    """A client of that platform's edge."""
    async with httpx.AsyncClient(base_url=f"http://{shaken.wiring.address(EDGE.name)}", timeout=SETTLE_SECONDS) as client:
        yield client
