"""Channels to the services: one for each, and a lane to each of its processes, found by the package of the contract."""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from itertools import chain
from typing import Any, Final

import orjson
from grpc import aio
from grpc_health.v1 import health_pb2

from chassis.carrier.lanes import Lanes
from chassis.carrier.spread import Spread
from chassis.carrier.way import Way
from gateway.contract import Method

MESSAGE_BYTES: Final = 16 * 1024 * 1024
_READS: Final = frozenset({"GET", "HEAD"})
_HEALTH: Final = "/grpc.health.v1.Health/Check"

# A read is tried again when the service was not there; a write only by its client, who knows whether it had a key.
_RETRY: Final = {
    "maxAttempts": 4,
    "initialBackoff": "0.05s",
    "maxBackoff": "0.5s",
    "backoffMultiplier": 2,
    "retryableStatusCodes": ["UNAVAILABLE"],
}
_OPTIONS: Final = (
    ("grpc.max_receive_message_length", MESSAGE_BYTES),
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.enable_retries", 1),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 500),  # who was told to come again in a second finds a service that is back
)


class MissingUpstreamError(ValueError):
    """KITH_UPSTREAMS names no address for a service of the contract."""


class Upstreams:
    """The channels of one edge; messages are passed as bytes."""

    def __init__(self, targets: Mapping[str, str], methods: Iterable[Method]) -> None:
        wanted: dict[str, list[Method]] = {}
        for method in methods:
            wanted.setdefault(method.upstream, []).append(method)
        missing = sorted(wanted.keys() - targets.keys())
        if missing:
            raise MissingUpstreamError(f"KITH_UPSTREAMS names no address of {', '.join(missing)}")
        self._channels = {name: aio.insecure_channel(targets[name], options=_options(group)) for name, group in wanted.items()}
        self._each = {name: [aio.insecure_channel(each, options=_OPTIONS) for each in processes(targets[name])] for name in wanted}
        self._lanes = {
            name: Spread([Lanes(channel) for channel in channels or (self._channels[name],)]) for name, channels in self._each.items()
        }

    async def run(self, service_token: Callable[[str], str]) -> None:
        """Keep lanes to every service open, until cancelled; `service_token` gives the edge's own token for a service."""
        async with asyncio.TaskGroup() as group:
            for name, lanes in self._lanes.items():
                group.create_task(lanes.run(partial(service_token, name)), name=f"lanes {name}")

    @property
    def names(self) -> tuple[str, ...]:
        """Return the names of the services that the contract needs."""
        return tuple(self._channels)

    def channel(self, name: str) -> aio.Channel:
        """Return the channel to a service."""
        return self._channels[name]

    def call(self, method: Method) -> Any:
        """Return what calls the RPC with bytes: a Way, or gRPC's own for one that streams."""
        channel = self._channels[method.upstream]
        if method.client_streaming:
            return channel.stream_unary(method.path)
        if method.server_streaming:
            return channel.unary_stream(method.path)
        return Way(method.path, channel.unary_unary(method.path), self._lanes[method.upstream], repeatable=_reads(method))

    async def check(self, name: str) -> None:
        """Ask a service for its health; raise ConnectionError if it does not serve."""
        ask = self._channels[name].unary_unary(
            _HEALTH,
            request_serializer=health_pb2.HealthCheckRequest.SerializeToString,
            response_deserializer=health_pb2.HealthCheckResponse.FromString,
        )
        answer = await ask(health_pb2.HealthCheckRequest(), timeout=1)
        if answer.status != health_pb2.HealthCheckResponse.SERVING:
            raise ConnectionError(name)

    async def close(self) -> None:
        """Close every channel."""
        for channel in (*self._channels.values(), *chain.from_iterable(self._each.values())):
            await channel.close()


def processes(target: str) -> list[str]:
    """Return the addresses of a target that names several, as gRPC writes them: `ipv4:10.0.0.1:7102,10.0.0.2:7102`."""
    scheme, _, addresses = target.partition(":")
    return addresses.split(",") if scheme in {"ipv4", "ipv6"} and "," in addresses else []


def _options(methods: Iterable[Method]) -> list[tuple[str, Any]]:
    reads = [method for method in methods if _reads(method)]
    names = [{"service": method.service, "method": method.name} for method in reads]
    config = {
        "loadBalancingConfig": [{"round_robin": {}}],
        "methodConfig": [{"name": names, "retryPolicy": _RETRY}] if names else [],
    }
    return [*_OPTIONS, ("grpc.service_config", orjson.dumps(config).decode())]


def _reads(method: Method) -> bool:
    """Say whether doing a call twice is as good as once."""
    return all(binding.http_method in _READS for binding in method.bindings)
