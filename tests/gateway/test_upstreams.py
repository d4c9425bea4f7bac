"""A service that was away is found again by the time that its callers were told to come again."""

import asyncio
from typing import Final

import grpc
import pytest
from grpc import aio
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_health.v1.health import aio as health

from gateway import upstreams as module
from gateway.contract import Contract
from gateway.upstreams import Upstreams
from stack import ports
from tests.unit.chassis.moving import eventually

AWAY: Final = 4.0  # seconds, in which the pauses between two attempts to connect grow to their longest
COME_AGAIN: Final = 1.0  # seconds that Retry-After names when a service does not answer


async def _refused(upstreams: Upstreams, seconds: float) -> None:
    loop = asyncio.get_running_loop()
    until = loop.time() + seconds
    while loop.time() < until:
        with pytest.raises(aio.AioRpcError) as refused:
            await upstreams.check("shop")
        assert refused.value.code() is grpc.StatusCode.UNAVAILABLE
        await asyncio.sleep(0.1)


async def _found(upstreams: Upstreams) -> bool:
    try:
        await upstreams.check("shop")
    except aio.AioRpcError:
        return False
    return True


def test_pauses_between_two_attempts_are_shorter_than_the_time_that_callers_are_told() -> None:
    assert dict(module._OPTIONS)["grpc.max_reconnect_backoff_ms"] < COME_AGAIN * 1000


async def test_a_service_that_is_back_is_found_when_callers_come_again(contract: Contract) -> None:
    address = f"127.0.0.1:{ports.settle('127.0.0.1', {'shop': 0})[0]['shop']}"
    upstreams = Upstreams({"shop": address}, contract.methods)
    await _refused(upstreams, AWAY)
    server, answers = aio.server(), health.HealthServicer()
    health_pb2_grpc.add_HealthServicer_to_server(answers, server)
    await answers.set("", health_pb2.HealthCheckResponse.SERVING)
    server.add_insecure_port(address)
    await server.start()
    try:
        await eventually(lambda: _found(upstreams))
    finally:
        await upstreams.close()
        await server.stop(0)
