"""The edge before a gRPC server of this process that serves a contract made for these tests."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from chassis.environment import Secret
from gateway.contract import Contract
from gateway.main import build
from gateway.principals import Principal
from gateway.settings import EdgeSettings
from gateway.upstreams import Upstreams
from tests.gateway.shop.client import Client
from tests.gateway.shop.contract import HERE, compiled
from tests.gateway.shop.service import Shop, serve

ORIGIN = "http://edge.test"


class Tokens:
    """Principals by tokens that say who they are: `Bearer tenant/user`."""

    async def principal(self, authorization: str | None) -> Principal | None:
        tenant, slash, user = (authorization or "").removeprefix("Bearer ").partition("/")
        return Principal(tenant, user) if slash else None


@pytest.fixture(scope="session")
def contract(tmp_path_factory: pytest.TempPathFactory) -> Contract:
    return compiled(HERE / "shop.proto", tmp_path_factory.mktemp("contract"))


@pytest.fixture(scope="session")
async def shop(contract: Contract) -> AsyncIterator[Shop]:
    shop = Shop(contract)
    server, shop.port = await serve(shop)
    yield shop
    await server.stop(0)


@pytest.fixture(scope="session")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., EdgeSettings]:
    folder: Path = tmp_path_factory.mktemp("keys")

    def make(**changed: Any) -> EdgeSettings:
        given = {
            "port": 8080,
            "admin_port": 7200,
            "public_url": ORIGIN,
            "service_key_file": folder / "key",
            "service_keys_file": folder / "keys",
            "nats_url": Secret("nats://127.0.0.1:1"),
            "rate_scale": 1e6,
            "body_seconds": 60,
            "call_seconds": 60,
            "upload_bytes": 3_000_000,
        }
        return EdgeSettings(**(given | changed))

    return make


@pytest.fixture(scope="session")
async def edge_with(contract: Contract, shop: Shop, settings: Callable[..., EdgeSettings]) -> AsyncIterator[Callable[..., Client]]:
    """Make an edge with other settings than the usual ones; returns its client."""
    opened = []

    def make(**changed: Any) -> Client:
        upstreams = Upstreams({"shop": f"127.0.0.1:{shop.port}"}, contract.methods)
        opened.append(upstreams)
        edge, _ = build(
            settings(**changed), contract, upstreams, principals=Tokens(), service_token=lambda name: f"token-for-{name}", own={}
        )
        return Client(edge)

    yield make
    for each in opened:
        await each.close()


@pytest.fixture(scope="session")
def call(edge_with: Callable[..., Client]) -> Client:
    """Calls the usual edge."""
    return edge_with()
