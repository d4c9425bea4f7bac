"""The services that this process calls: one channel each, shared by all stubs."""

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from functools import cache, partial
from typing import Any, Final, NoReturn, Self, cast

from grpc import aio

from chassis import contract
from chassis.clients.calls import Call, Upstream
from chassis.contract import ContractError, Method
from chassis.tokens.service import ServiceSigner

_SERVICE_CONFIG: Final = json.dumps({"loadBalancingConfig": [{"round_robin": {}}]})
OPTIONS: Final = (
    ("grpc.service_config", _SERVICE_CONFIG),
    ("grpc.enable_retries", 0),  # ours keep to a budget
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 500),  # else the breaker's probes fail although the target is back
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 5_000),
    ("grpc.max_receive_message_length", 4 * 1024 * 1024),
)


class Clients:
    """Channels to the other services inside its block. `upstreams` are their addresses by name: {"identity": "127.0.0.1:7101"}."""

    def __init__(self, upstreams: Mapping[str, str], signer: ServiceSigner) -> None:
        self._addresses = upstreams
        self._signer = signer
        self._upstreams: dict[str, Upstream] = {}
        self._open = AsyncExitStack()

    async def __aenter__(self) -> Self:
        for name, address in self._addresses.items():
            channel = await self._open.enter_async_context(aio.insecure_channel(address, options=OPTIONS))
            self._upstreams[name] = Upstream(name, channel)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._open.aclose()

    @property
    def names(self) -> Sequence[str]:
        """Return the names of the services that can be called."""
        return sorted(self._addresses)

    def channel(self, tenant_id: str | None = None, *, of: str = "") -> aio.Channel:
        """Return what a generated stub is made on: `TenantServiceStub(clients.channel())`.

        The stub's calls go to the service whose contract they are of, or to the one named where several serve it, in the name of
        the tenant of the call in hand or of the one given. They raise Refusals. Calling a stream is a ContractError.
        """
        return cast("aio.Channel", _Channel(partial(self._call, of), tenant_id))

    def _call(self, of: str, path: str, codec: Mapping[str, Any], tenant_id: str | None) -> Call:
        method = _method(path)
        name = of or method.package.split(".")[1]
        upstream = self._upstreams.get(name)
        if upstream is None:
            raise ContractError(f"{path}: this process has no address of {name}")
        return Call(method, upstream, upstream.channel.unary_unary(path, **codec), self._signer, tenant_id)


class _Channel:
    """The part of a gRPC channel that generated stubs use."""

    def __init__(self, call: Callable[[str, Mapping[str, Any], str | None], Call], tenant_id: str | None) -> None:
        self._call = call
        self._tenant_id = tenant_id

    def unary_unary(self, path: str, **codec: Any) -> Call:
        """Return the callable of one method."""
        return self._call(path, codec, self._tenant_id)

    def _stream(self, path: str, **_: Any) -> Callable[..., NoReturn]:
        """Let a stub be made whose service has streams beside what is called; one itself has no deadline that it could be called with."""

        def refuse(*_: Any, **__: Any) -> NoReturn:
            raise ContractError(f"{path}: a service calls no stream of another")

        return refuse

    unary_stream = stream_unary = stream_stream = _stream


@cache
def _method(path: str) -> Method:
    service = path[1:].partition("/")[0]
    return next(method for method in contract.methods(service) if method.path == path)
