"""From a name to addresses: a question to the machine's name servers, asked once for each request."""

import asyncio
from collections.abc import Sequence
from ipaddress import ip_address
from typing import Final, Protocol

from dns import asyncbackend, asyncresolver, exception, resolver

from chassis.egress.causes import Cause, Stopped
from chassis.egress.networks import Address

SECONDS: Final = 4.0  # for all name servers together

_BACKEND: Final = asyncbackend.get_backend("asyncio")


class Resolver(Protocol):
    """Who knows the addresses of names."""

    async def resolve(self, host: str) -> Sequence[Address]:
        """Return all addresses of a full name in ASCII; Stopped(NAME) if there are none, Stopped(RESOLVER) if nobody knows now."""
        ...


class Dns:
    """The name servers of resolv.conf, and nothing else that getaddrinfo looks at.

    No hosts file and no search list, which hold names of machines inside; no spelling of an address that it takes for one; and no
    thread that a slow name server keeps while the request has long been given up.
    """

    def __init__(self, servers: asyncresolver.Resolver | None = None) -> None:
        self._servers = servers or asyncresolver.Resolver()

    async def resolve(self, host: str) -> Sequence[Address]:
        """Return all addresses of a name, IPv4 first: servers that cannot be reached by IPv6 are the more common."""
        v4, v6 = await asyncio.gather(self._ask(host, "A"), self._ask(host, "AAAA"))
        found = [*(v4 or ()), *(v6 or ())]
        if not found:
            raise Stopped(Cause.RESOLVER if v4 is None or v6 is None else Cause.NAME)
        return found

    async def _ask(self, host: str, kind: str) -> Sequence[Address] | None:
        """Return the addresses of one family, None if no name server could say."""
        try:
            answer = await self._servers.resolve(f"{host}.", kind, raise_on_no_answer=False, lifetime=SECONDS, backend=_BACKEND)
        except resolver.NXDOMAIN:
            return ()
        except (exception.DNSException, OSError):
            return None
        return [ip_address(record.address) for record in answer]
