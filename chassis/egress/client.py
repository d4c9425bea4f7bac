"""The one client for URLs that users can influence."""

import contextlib
import ssl
from collections.abc import AsyncIterator, Mapping
from types import MappingProxyType
from typing import Final, Self

import httpcore

from chassis.egress import urls
from chassis.egress.certificates import trust
from chassis.egress.exchange import Answer, Method, Sent, Streamed, exchange
from chassis.egress.limits import in_time
from chassis.egress.networks import Networks
from chassis.egress.resolving import Dns, Resolver
from chassis.egress.settings import EgressSettings
from chassis.egress.uses import Use
from chassis.egress.watch import Watch, watched
from chassis.egress.ways import Ways

_NONE: Final[Mapping[str, str]] = MappingProxyType({})


class Egress:
    """Calls addresses of users, each by a connection of its own to an address that was looked at. Holds nothing open.

    Follows no redirect, keeps no cookie, asks for nothing compressed, and reads no proxy and no password from its surroundings.
    A URL that may not be called is refused with EGRESS_REFUSED (InvalidArgument), an exchange that fails ends in EGRESS_FAILED
    (FailedPrecondition). Both name the caller's `field`, and their metadata a `cause`; DEADLINE_EXCEEDED says that the caller's own
    time was over. Any status of HTTP is an answer.
    """

    def __init__(
        self,
        networks: Networks,
        resolver: Resolver,
        believed: ssl.SSLContext,
        connector: httpcore.AsyncNetworkBackend | None = None,
    ) -> None:
        self._ways = Ways(networks, resolver, believed, connector or httpcore.AnyIOBackend())

    @classmethod
    def of(cls, settings: EgressSettings) -> Self:
        """Return the client of a service, as the operator wants it."""
        networks = Networks(allow=settings.egress_allow, deny=settings.egress_deny)
        return cls(networks, Dns(), trust(settings.egress_authorities_file))

    def check(self, url: str, *, use: Use, field: str) -> None:
        """Refuse a URL that could never be called, as soon as somebody hands it in. Looks no name up."""
        with Watch(field).refusing():
            self._ways.check(urls.read(url, use))

    async def fetch(
        self, url: str, *, use: Use, field: str, method: Method = "GET", headers: Mapping[str, str] = _NONE, content: bytes = b""
    ) -> Answer:
        """Make a request and return its answer, which is in memory as a whole."""
        async with self.stream(url, use=use, field=field, method=method, headers=headers, content=content) as answer:
            return Answer(answer.status, answer.headers, b"".join([piece async for piece in answer]))

    @contextlib.asynccontextmanager
    async def stream(
        self, url: str, *, use: Use, field: str, method: Method = "GET", headers: Mapping[str, str] = _NONE, content: bytes = b""
    ) -> AsyncIterator[Streamed]:
        """Make a request and hold its answer inside the block, where it is read piece by piece. The use's time goes on in there."""
        with watched(use, field) as watch, watch.refusing():
            async with in_time(use.seconds):
                target = urls.read(url, use)
                async with self._ways.open(target, use) as way:
                    answer = await exchange(way, target, Sent(method, headers, content), use, watch.refusing)
                    watch.answered(answer.status)
                    yield answer
