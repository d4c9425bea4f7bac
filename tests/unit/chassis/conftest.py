"""What the chassis's unit tests share."""

from collections.abc import AsyncIterator, Iterator

import pytest

from chassis import clock
from tests.unit.chassis import servers
from tests.unit.chassis.moving import Clock
from tests.unit.chassis.servers import Nats, Served


@pytest.fixture
def time() -> Iterator[Clock]:
    moved = Clock()
    mark = clock.source.set(moved)
    yield moved
    clock.source.reset(mark)


@pytest.fixture(scope="session")
async def admin_dsn(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    async with servers.postgres(tmp_path_factory.mktemp("chassis") / "state") as dsn:
        yield dsn


@pytest.fixture(scope="session")
async def crm(admin_dsn: str) -> Served:
    return await servers.database(admin_dsn, "crm")


@pytest.fixture(scope="session")
async def nats_server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Nats]:
    async with servers.nats_server(tmp_path_factory.mktemp("nats")) as server:
        yield server
