"""How a process shows that it is ready."""

from typing import Final

import httpx
import psycopg

from stack.processes.supervisor import Probe

PROBE_TIMEOUT: Final = 2.0
"""Seconds."""


def http_ready(client: httpx.AsyncClient, url: str) -> Probe:
    """Ready when the address answers 200."""

    async def probe() -> bool:
        try:
            response = await client.get(url, timeout=PROBE_TIMEOUT)
        except httpx.TransportError:
            return False
        return response.status_code == httpx.codes.OK

    return probe


def database_ready(dsn: str) -> Probe:
    """Ready when a connection is let in."""

    async def probe() -> bool:
        try:
            async with await psycopg.AsyncConnection.connect(dsn, connect_timeout=round(PROBE_TIMEOUT)):
                return True
        except psycopg.OperationalError:
            return False

    return probe
