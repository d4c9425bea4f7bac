"""How a process shows that it is ready. Plain sockets where they do: a client library's imports would be paid at every start."""

import asyncio
from typing import Final

import psycopg

from stack.processes.supervisor import Probe

PROBE_SECONDS: Final = 2


def http_ready(address: str, path: str) -> Probe:
    """Ready when the path answers 200."""
    return _first_line(address, f"GET {path} HTTP/1.0\r\n\r\n".encode(), expected=b" 200 ")


def jetstream_ready(address: str) -> Probe:
    """Ready when the server greets with JetStream on."""
    return _first_line(address, b"", expected=b'"jetstream":true')


def database_ready(dsn: str) -> Probe:
    """Ready when a connection is let in."""

    async def probe() -> bool:
        try:
            async with await psycopg.AsyncConnection.connect(dsn, connect_timeout=PROBE_SECONDS):
                return True
        except psycopg.OperationalError:
            return False

    return probe


def _first_line(address: str, request: bytes, *, expected: bytes) -> Probe:
    host, _, port = address.rpartition(":")

    async def probe() -> bool:
        try:
            async with asyncio.timeout(PROBE_SECONDS):
                return expected in await _exchange(host, int(port), request)
        except OSError:
            return False

    return probe


async def _exchange(host: str, port: int, request: bytes) -> bytes:
    """Send the request and return the first line of what comes back."""
    reader, writer = await asyncio.open_connection(host, port)
    try:
        writer.write(request)
        return await reader.readline()
    finally:
        writer.close()
