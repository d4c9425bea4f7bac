"""The gRPC server of a service: registered servicers with the chain around them, the carrier, health and reflection."""

import asyncio
import sys
from collections.abc import Iterable, Mapping, Sequence
from types import ModuleType
from typing import Any, Final, Self

import grpc
from grpc import aio
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from chassis import contract
from chassis.carrier.carrier import Carrier
from chassis.contract import ContractError, Method
from chassis.interceptors.chain import Chain, Handler

MESSAGE_BYTES: Final = 4 * 1024 * 1024
METADATA_BYTES: Final = 16 * 1024
CONNECTION_AGE_MS: Final = 5 * 60 * 1000  # clients come back elsewhere, else one process keeps all calls
CONNECTION_GRACE_SECONDS: Final = 30.0  # that a call on such a connection has to end, or as long as the longest call may take

_OPTIONS: Final = (
    ("grpc.so_reuseport", 0),  # a second process on the port is an error, not a silent half of the calls
    ("grpc.max_receive_message_length", MESSAGE_BYTES),
    ("grpc.max_metadata_size", METADATA_BYTES),
)


def names(servicers: Iterable[object]) -> list[str]:
    """Return the full names of the contract's services that the servicers implement."""
    return [_service(module, base) for module, base in map(_generated, servicers)]


def methods(servicers: Iterable[object]) -> dict[str, Method]:
    """Return the RPCs of the servicers by path; raise ContractError when the policy of one is incomplete."""
    return {method.path: method for name in names(servicers) for method in contract.methods(name)}


def options(served: Iterable[Method]) -> list[tuple[str, int]]:
    """Return how connections are kept. None is cut under an upload or download that still has time: its caller would see UNAVAILABLE."""
    longest = max((method.deadline or 0 for method in served), default=0)
    grace = max(CONNECTION_GRACE_SECONDS, longest)
    return [*_OPTIONS, ("grpc.max_connection_age_ms", CONNECTION_AGE_MS), ("grpc.max_connection_age_grace_ms", round(grace * 1000))]


class Server:
    """Serves gRPC inside its block; at its end the port closes and calls in flight have `grace` seconds to end."""

    def __init__(
        self, servicers: Sequence[object], chain: Chain, *, address: str, concurrent_calls: int, grace: float, carrier_port: int = 0
    ) -> None:
        self._grace = grace
        host, _, _ = address.rpartition(":")
        self._carrier = Carrier(chain, host=host, port=carrier_port, limit=concurrent_calls)
        every = [*servicers, self._carrier]
        served = methods(every)
        self._server = aio.server(options=options(served.values()), maximum_concurrent_rpcs=concurrent_calls)
        self._health = health.aio.HealthServicer()
        self._names = names(every)
        wrapped = _Wrapped(self._server, chain, served)
        for servicer in every:
            module, base = _generated(servicer)
            getattr(module, f"add_{base}_to_server")(servicer, wrapped)
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        reflection.enable_server_reflection([*self._names, health.SERVICE_NAME, reflection.SERVICE_NAME], self._server)
        self._server.add_insecure_port(address)

    async def __aenter__(self) -> Self:
        await self._carrier.__aenter__()
        await self._server.start()
        for name in ("", *self._names):
            await self._health.set(name, health_pb2.HealthCheckResponse.SERVING)
        return self

    async def __aexit__(self, *_: object) -> None:
        await asyncio.gather(self._server.stop(self._grace), self._carrier.drained(self._grace))
        await self._carrier.__aexit__()

    async def refuse(self) -> None:
        """Say NOT_SERVING, for ever; calls are still taken."""
        await self._health.enter_graceful_shutdown()
        self._carrier.leave()


class _Wrapped:
    """What generated code registers a servicer with: puts the chain around each RPC on its way to the server.

    An interceptor would do the same for every call anew; this is done once.
    """

    def __init__(self, server: aio.Server, chain: Chain, served: Mapping[str, Method]) -> None:
        self._server = server
        self._chain = chain
        self._served = served

    def add_generic_rpc_handlers(self, _: object) -> None:
        """Leave these out: the same handlers come once more with their names."""

    def add_registered_method_handlers(self, service: str, handlers: Mapping[str, Handler]) -> None:
        """Register the RPCs of a service."""
        wrapped = {name: self._chain.wrap(self._served[f"/{service}/{name}"], handler) for name, handler in handlers.items()}
        self._server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, wrapped),))


def _generated(servicer: object) -> tuple[ModuleType, str]:
    """Return the generated module of a servicer and the name of its base class there."""
    for base in type(servicer).__mro__:
        module = sys.modules[base.__module__]
        if hasattr(module, f"add_{base.__name__}_to_server"):
            return module, base.__name__
    raise ContractError(f"{type(servicer).__name__} implements no service of the contract")


def _service(module: ModuleType, base: str) -> str:
    messages: Any = sys.modules[module.__name__.removesuffix("_grpc")]
    return str(messages.DESCRIPTOR.services_by_name[base.removesuffix("Servicer")].full_name)
