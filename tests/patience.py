"""Clients that come again when a busy platform says so: that a machine is slow, or does much else, is no fault of a test's."""

import asyncio
from typing import Final

import httpx

SECONDS: Final = 60.0  # that an answer may take
TIMES: Final = 20  # that a busy platform is asked again
BUSY: Final = frozenset({"OVERLOADED", "HASHING_BUSY"})
"""Reasons with which more is refused than a machine does at once. A service that is not reached is another thing, and is shown."""


class Patient(httpx.AsyncBaseTransport):
    """Sends a request again after the time that its refusal names; one whose body is made on the way can be sent but once."""

    def __init__(self, limits: httpx.Limits) -> None:
        self._inner = httpx.AsyncHTTPTransport(limits=limits)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send it until it is taken, or refused for another reason."""
        answer = await self._inner.handle_async_request(request)
        for _ in range(TIMES):
            if not (isinstance(request.stream, httpx.ByteStream) and await _is_busy(answer)):
                break
            await asyncio.sleep(int(answer.headers["retry-after"]))
            answer = await self._inner.handle_async_request(request)
        return answer

    async def aclose(self) -> None:
        """Close every connection."""
        await self._inner.aclose()


async def _is_busy(answer: httpx.Response) -> bool:
    if answer.status_code != httpx.codes.SERVICE_UNAVAILABLE:
        return False
    await answer.aread()
    return answer.json().get("code") in BUSY


def client(base: str, *, keeps: int | None = None) -> httpx.AsyncClient:
    """Return a patient client of an edge, which keeps so many connections."""
    limits = httpx.Limits(max_keepalive_connections=keeps)
    return httpx.AsyncClient(base_url=base, timeout=SECONDS, transport=Patient(limits))
