"""How a process shows that it is ready. Plain sockets where they do: a client library's imports would be paid at every start."""

import asyncio
import json
from asyncio import StreamReader
from collections.abc import Awaitable, Callable
from typing import Final

import psycopg

from stack.processes.supervisor import Probe

PROBE_SECONDS: Final = 2


def http_ready(address: str, path: str) -> Probe:
    """Ready when the path answers 200."""
    return _first_line(address, f"GET {path} HTTP/1.0\r\n\r\n".encode(), expected=b" 200 ")


def services_met(address: str) -> Probe:
    """Ready when the edge whose admin port this is reaches every service behind it."""

    async def probe() -> bool:
        answer = await _exchange(address, b"GET /readyz HTTP/1.0\r\n\r\n", StreamReader.read)
        if not answer:
            return False
        return all(each["up"] for each in json.loads(answer.partition(b"\r\n\r\n")[2])["dependencies"].values())

    return probe


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
    async def probe() -> bool:
        return expected in await _exchange(address, request, StreamReader.readline)

    return probe


async def _exchange(address: str, request: bytes, read: Callable[[StreamReader], Awaitable[bytes]]) -> bytes:
    """Send the request and return what is read of the answer; nothing if there is none in time."""
    host, _, port = address.rpartition(":")
    try:
        async with asyncio.timeout(PROBE_SECONDS):
            reader, writer = await asyncio.open_connection(host, int(port))
            try:
                writer.write(request)
                return await read(reader)
            finally:
                writer.close()
    except OSError:
        return b""
