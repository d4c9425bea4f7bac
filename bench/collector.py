"""A collector of traces that keeps nothing: it takes what OTLP over HTTP sends, so that sending is part of what is measured."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Final

_ANSWER: Final = b"HTTP/1.1 200 OK\r\ncontent-type: application/x-protobuf\r\ncontent-length: 0\r\n\r\n"
_LENGTH: Final = b"content-length:"


@asynccontextmanager
async def running() -> AsyncIterator[str]:
    """Take traces for the length of a block; yield where."""
    server = await asyncio.start_server(_take, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()


async def _take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(asyncio.IncompleteReadError, ConnectionError):
        while True:
            lines = (await reader.readuntil(b"\r\n\r\n")).lower().split(b"\r\n")
            length = next((int(line.removeprefix(_LENGTH)) for line in lines if line.startswith(_LENGTH)), 0)
            await reader.readexactly(length)
            writer.write(_ANSWER)
    writer.close()
