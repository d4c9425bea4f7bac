"""When calls may come to an edge: at its start it waits a little for every service, later for the one that signs tokens alone."""

from collections.abc import Callable
from typing import Any, cast

import pytest

from chassis.telemetry.probes import Probes
from gateway import health as module
from gateway.contract import Contract
from gateway.health import PATIENCE, EdgeHealth
from gateway.upstreams import Upstreams
from stack.processes.probes import services_met


class Services:
    """Services of which some answer."""

    names = ("shop", "cellar")

    def __init__(self) -> None:
        self.up = {"shop"}

    async def check(self, name: str) -> None:
        if name not in self.up:
            raise ConnectionError(name)


@pytest.fixture
def services() -> Services:
    return Services()


@pytest.fixture
def health(services: Services, contract: Contract, now: Callable[[float], None]) -> EdgeHealth:
    made = EdgeHealth(cast("Upstreams", services), contract.methods)
    made.started = True
    return made


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """`now(5)` says that it is five seconds after the start of the edge."""

    def move(seconds: float) -> None:
        monkeypatch.setattr(module, "monotonic", lambda: 1000 + seconds)

    move(0)
    return move


async def test_an_edge_that_starts_waits_for_all_services_and_once_it_met_them_for_none_that_it_does_not_need(
    health: EdgeHealth, services: Services
) -> None:
    await health.check()
    assert not health.ready
    services.up = {"shop", "cellar"}
    await health.check()
    assert health.ready
    services.up = {"shop"}
    for _ in range(5):
        await health.check()
    assert (health.ready, health.dependencies["cellar"].up) == (True, False)
    services.up = set()
    for _ in range(5):
        await health.check()
    assert not health.ready


async def test_it_waits_a_little_and_no_longer(health: EdgeHealth, now: Callable[[float], None]) -> None:
    await health.check()
    now(PATIENCE)
    assert not health.ready
    now(PATIENCE + 0.1)
    assert health.ready


async def test_whoever_starts_an_edge_is_told_when_it_met_all(health: EdgeHealth, services: Services, now: Any) -> None:
    now(PATIENCE + 1)
    probes = Probes(health, host="127.0.0.1", port=0)
    have_met = services_met(f"127.0.0.1:{probes.port}")
    probes.start()
    try:
        await health.check()
        assert (health.ready, await have_met()) == (True, False)
        services.up = {"shop", "cellar"}
        await health.check()
        assert await have_met()
    finally:
        probes.stop()
    assert not await have_met()
