"""The way to a target: every address that it may mean is looked at, and the connection is made to one that was."""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Sequence
from typing import Final

import httpcore

from chassis.egress import embedded
from chassis.egress.causes import Cause, Stopped
from chassis.egress.networks import Address, Networks
from chassis.egress.resolving import Resolver
from chassis.egress.urls import Target
from chassis.egress.uses import Use

ATTEMPTS: Final = 4  # addresses of a name that are tried


class Ways:
    """Connections to targets, each for one request: none is kept, so none is ever found by another host or tenant."""

    def __init__(self, networks: Networks, resolver: Resolver, trust: ssl.SSLContext, connector: httpcore.AsyncNetworkBackend) -> None:
        self._networks = networks
        self._resolver = resolver
        self._trust = trust
        self._connector = connector

    def check(self, target: Target) -> None:
        """Stop at an address that may not be called. A name is looked up when it is called, and may lead elsewhere by then."""
        if target.address is not None:
            self._checked([target.address])

    @contextlib.asynccontextmanager
    async def open(self, target: Target, use: Use) -> AsyncIterator[httpcore.AsyncNetworkStream]:
        """Hold a connection to the target inside the block, with TLS if its scheme wants it."""
        async with contextlib.AsyncExitStack() as held:
            try:
                async with asyncio.timeout(use.connect_seconds):
                    stream = await self._reach(target, use, held)
            except TimeoutError:
                raise Stopped(Cause.TIME) from None
            yield stream

    async def _reach(self, target: Target, use: Use, held: contextlib.AsyncExitStack) -> httpcore.AsyncNetworkStream:
        found = await self._resolver.resolve(target.host) if target.address is None else [target.address]
        stream = await self._connect(self._checked(found), target.port, use)
        held.push_async_callback(stream.aclose)
        if target.scheme == "http":
            return stream
        try:
            return await stream.start_tls(self._trust, server_hostname=target.host)
        except httpcore.NetworkError:
            raise Stopped(Cause.TLS) from None
        except httpcore.TimeoutException:
            raise Stopped(Cause.TIME) from None

    def _checked(self, found: Sequence[Address]) -> list[Address]:
        """Return what may be connected to. One forbidden address among several is no accident, so it spoils them all."""
        if not all(self._networks.reachable(address) for address in found):
            raise Stopped(Cause.ADDRESS)
        return list(dict.fromkeys(embedded.plain(address) for address in found))

    async def _connect(self, addresses: Sequence[Address], port: int, use: Use) -> httpcore.AsyncNetworkStream:
        """Connect to the first address that takes it, named by its digits, so that nobody looks a name up again."""
        tried, cause = addresses[:ATTEMPTS], Cause.CONNECTION
        for address in tried:
            try:
                return await self._connector.connect_tcp(str(address), port, timeout=use.connect_seconds / len(tried))
            except httpcore.NetworkError:
                cause = Cause.CONNECTION
            except httpcore.TimeoutException:
                cause = Cause.TIME
        raise Stopped(cause)
