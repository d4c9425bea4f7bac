"""One HTTP/1.1 connection by itself, on the loop that the edge runs on, and clients that send what they like."""

import asyncio
import contextlib
import re
import threading
from collections.abc import Callable, Iterator
from queue import Queue

import pytest
import uvloop

from gateway import headers
from gateway.connection import Connection, Hall
from gateway.problems import Problem
from gateway.requests import Disconnected, Request
from gateway.sending import lines

SECONDS = 60.0  # in which everything happens on any machine
END = b"GET /end HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"
SMUGGLED = b"GET /smuggled HTTP/1.1\r\nhost: x\r\n\r\n"
POST = b"POST /post HTTP/1.1\r\nhost: x\r\n"


class Served:
    """Answers each request with its body, and remembers it."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, str, str, bytes]] = []
        self.parts: list[bytes] = []
        self.begun = 0
        self.left = 0
        self.slow = True
        self.body_seconds = SECONDS

    async def __call__(self, request: Request) -> None:
        request.headers = headers.read(request.raw, max_bytes=100_000)
        wire = request.wire
        self.begun += 1
        try:
            if request.socket:
                await self.socket(request)
            elif request.path == "/unread":
                wire.reply(413, b"", b"")
            elif request.path == "/parts":
                async for part in request.chunks(limit=10**9, pause=SECONDS):
                    self.parts.append(part)
                    while self.slow:  # noqa: ASYNC110 - the test's doing, in another thread
                        await asyncio.sleep(0.01)
                wire.reply(200, b"", b"")
            elif request.path == "/stream":
                await self.stream(request)
            elif request.path == "/wrong":
                raise RuntimeError
            else:
                body = await request.body(limit=100_000, seconds=self.body_seconds)
                await asyncio.sleep(0.01)
                self.seen.append((request.method, request.path, request.query, body))
                wire.reply(200, b"x-path: %b\r\n" % request.path.encode(), body or b"none")
        except Problem as problem:
            wire.reply(problem.status, lines(problem.all_headers()), b"")
        except Disconnected:
            self.left += 1

    async def stream(self, request: Request) -> None:
        request.wire.begin(b"")
        gone = asyncio.create_task(request.wire.gone())
        for _ in range(3):
            await request.wire.piece(b"piece")
        if request.query == "for_ever":
            await gone
            self.left += 1
        gone.cancel()
        request.wire.end()

    async def socket(self, request: Request) -> None:
        socket = request.wire.open(b"x-request-id: 1\r\n")
        await socket.say(b"hello")
        if request.query != "short":
            await socket.gone()
            self.left += 1
        await socket.close(1012)

    @property
    def paths(self) -> list[str]:
        return [path for _, path, _, _ in self.seen]


@pytest.fixture
def served() -> Served:
    return Served()


@pytest.fixture
def hall(served: Served) -> Hall:
    return Hall(served, base="http://edge.test", max_head=10_000)


@pytest.fixture
def head_seconds() -> float:
    return SECONDS


@pytest.fixture
def port(hall: Hall, head_seconds: float) -> Iterator[int]:
    """Serve on the loop that the edge runs on, since loops differ in how they tell of a connection's end."""
    found: Queue[tuple[int, Callable[[], None]]] = Queue()
    thread = threading.Thread(target=lambda: uvloop.run(serve(hall, head_seconds, found)))
    thread.start()
    number, stop = found.get(timeout=SECONDS)
    yield number
    stop()
    thread.join()


async def serve(hall: Hall, head_seconds: float, found: "Queue[tuple[int, Callable[[], None]]]") -> None:
    hall.date = b"date: now\r\n"
    loop, ended = asyncio.get_running_loop(), asyncio.Event()
    server = await loop.create_server(lambda: Connection(hall, head_seconds=head_seconds), "127.0.0.1", 0)
    found.put((server.sockets[0].getsockname()[1], lambda: loop.call_soon_threadsafe(ended.set)))
    ticking = asyncio.create_task(tick(hall))
    await ended.wait()
    ticking.cancel()
    server.close()
    await asyncio.gather(*(each.cancel() for each in tuple(hall.connections)))


async def tick(hall: Hall) -> None:
    while True:
        await asyncio.sleep(0.02)
        for each in tuple(hall.connections):
            each.tick(asyncio.get_running_loop().time())


async def say(port: int, *pieces: bytes, pause: float = 0.05, end: bool = False) -> bytes:
    """Send the pieces and return everything that comes back until the connection ends."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    found = b""
    with contextlib.suppress(ConnectionError):
        for piece in pieces:
            writer.write(piece)
            await asyncio.sleep(pause)
        if end:
            writer.write_eof()
        async with asyncio.timeout(SECONDS):
            while some := await reader.read(65536):
                found += some
    await closed(writer)
    return found


def statuses(answer: bytes) -> list[int]:
    return [int(status) for status in re.findall(rb"HTTP/1\.1 (\d{3}) ", answer)]


async def send(writer: asyncio.StreamWriter, piece: bytes, count: int) -> None:
    for _ in range(count):
        writer.write(piece)
        await writer.drain()


async def closed(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with contextlib.suppress(ConnectionError):
        await writer.wait_closed()
