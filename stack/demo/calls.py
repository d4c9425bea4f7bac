"""The calls that seeding makes: sign-in through the edge as anybody would, the bulk straight to the services."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

import grpc
import httpx
from google.protobuf.message import Message
from grpc import aio

from chassis.tokens.service import ServiceSigner
from stack.keys import load_key
from stack.processes.supervisor import StartError
from stack.topology import EDGE, OPERATOR, SERVICES
from stack.wiring import Wiring

IN_FLIGHT: Final = 32
CALL_SECONDS: Final = 30.0
ATTEMPTS: Final = 4


class SeedError(StartError):
    """The demo organisation could not be made."""


@dataclass(frozen=True)
class Session:
    """The owner's sign-in: what the edge answered."""

    token: str
    tenant_id: str


async def sign_in(wiring: Wiring, path: str, body: dict[str, str]) -> Session | None:
    """Post to a door of the edge that answers with a session; None when it is refused because of what the body says."""
    async with httpx.AsyncClient(base_url=f"http://{wiring.address(EDGE.name)}", timeout=CALL_SECONDS) as client:
        answer = await client.post(path, json=body)
    if answer.is_success:
        said = answer.json()
        return Session(said["accessToken"], said["me"]["tenant"]["id"])
    if answer.status_code in {httpx.codes.CONFLICT, httpx.codes.UNAUTHORIZED}:
        return None
    raise SeedError(f"{path} answered {answer.status_code}: {answer.text}")


class Bulk:
    """Unary calls to services, many at once. Each has an idempotency key, so that a second run repeats nothing."""

    def __init__(self, signer: ServiceSigner, channels: dict[str, aio.Channel], session: Session) -> None:
        self._signer = signer
        self._channels = channels
        self._session = session
        self._slots = asyncio.Semaphore(IN_FLIGHT)

    def stub(self, service: str, kind: Any) -> Any:
        """Return a generated stub on the service's channel."""
        return kind(self._channels[service])

    async def call(self, service: str, method: Any, request: Message, key: str) -> Any:
        """Make one call in the owner's name; raise SeedError when it is refused."""
        metadata = (
            ("authorization", f"Bearer {self._session.token}"),
            ("x-kith-service", self._signer.token(service, self._session.tenant_id)),
            ("idempotency-key", key),
        )
        async with self._slots:
            try:
                return await method(request, metadata=metadata, timeout=CALL_SECONDS)
            except aio.AioRpcError as error:
                raise SeedError(f"{key}: {error.code().name} {error.details()}") from None


@asynccontextmanager
async def bulk(wiring: Wiring, session: Session) -> AsyncIterator[Bulk]:
    """Open a channel to each service."""
    key = load_key(wiring.secrets.service_key(OPERATOR))
    async with AsyncExitStack() as stack:
        names: Iterable[str] = (service.name for service in SERVICES)
        channels = {name: await stack.enter_async_context(aio.insecure_channel(wiring.address(name), options=[_RETRIES])) for name in names}
        yield Bulk(ServiceSigner(service=OPERATOR, key=key), channels, session)


_RETRIES: Final = (
    "grpc.service_config",
    json.dumps(
        {
            "methodConfig": [
                {
                    "name": [{}],
                    "retryPolicy": {
                        "maxAttempts": ATTEMPTS,
                        "initialBackoff": "0.1s",
                        "maxBackoff": "1s",
                        "backoffMultiplier": 2,
                        "retryableStatusCodes": [grpc.StatusCode.UNAVAILABLE.name, grpc.StatusCode.RESOURCE_EXHAUSTED.name],
                    },
                }
            ]
        }
    ),
)
