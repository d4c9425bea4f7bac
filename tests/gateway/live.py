"""Readers of live streams, as tests have them."""

import asyncio
import json
import urllib.parse
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
from websockets.asyncio.client import ClientConnection, connect

DEADLINE = 60.0

Json = dict[str, Any]


class Events:
    """The server-sent events of one open stream."""

    def __init__(self, answer: httpx.Response) -> None:
        self.answer = answer
        self._lines = answer.aiter_lines()
        self.begin = ""

    async def next(self) -> Json:
        """Return the fields of the next event, its data as JSON; signs of life are passed over."""
        found: Json = {}
        async with asyncio.timeout(DEADLINE):
            async for line in self._lines:
                name, _, value = line.partition(": ")
                if line and name:
                    found[name] = json.loads(value) if name == "data" else value
                elif found:
                    return found
        raise EOFError

    async def data(self) -> Json:
        found: Json = (await self.next())["data"]
        return found


@asynccontextmanager
async def events(edge: httpx.AsyncClient, headers: dict[str, str], **query: str) -> AsyncIterator[Events]:
    """Open a stream and read its first event, after which no change is missed."""
    async with edge.stream("GET", "/v1/events:stream", headers=headers, params=query) as answer:
        assert answer.status_code == 200, await answer.aread()
        assert answer.headers["content-type"] == "text/event-stream"
        reader = Events(answer)
        first = await reader.next()
        assert (first["event"], first["data"]) == ("ready", {"id": first["id"], "type": "ready"})
        reader.begin = first["id"]
        yield reader


@asynccontextmanager
async def messages(edge: httpx.AsyncClient, headers: dict[str, str], **query: str) -> AsyncIterator[ClientConnection]:
    """Open a WebSocket and read its first message."""
    url = f"ws://{edge.base_url.host}:{edge.base_url.port}/v1/events:stream?{urllib.parse.urlencode(query)}"
    async with connect(url, additional_headers=headers, compression=None, proxy=None, open_timeout=DEADLINE) as socket:
        assert (await said(socket))["type"] == "ready"
        yield socket


async def said(socket: ClientConnection) -> Json:
    async with asyncio.timeout(DEADLINE):
        found: Json = json.loads(await socket.recv())
    return found


async def ticket(edge: httpx.AsyncClient, headers: dict[str, str]) -> str:
    answer = await edge.post("/v1/events:ticket", json={}, headers=headers)
    assert answer.status_code == 200, answer.text
    return str(answer.json()["ticket"])


async def make(edge: httpx.AsyncClient, headers: dict[str, str], name: str) -> Json:
    answer = await edge.post("/v1/contacts", json={"givenName": name}, headers=headers)
    assert answer.status_code == 200, answer.text
    found: Json = answer.json()
    return found
