"""How long one connection waits, and for how much: nobody holds the edge up, or fills its memory."""

import asyncio
import contextlib

import pytest

from gateway import connection as connections
from gateway.connection import MAX_PIPELINED, Hall
from tests.gateway.wire import POST, SECONDS, SMUGGLED, Served, closed, hall, head_seconds, port, say, send, served, statuses
from tests.unit.chassis.moving import eventually

__all__ = ["hall", "head_seconds", "port", "served"]


async def test_more_requests_ahead_than_anybody_needs_end_the_connection(port: int, served: Served) -> None:
    answer = await say(port, SMUGGLED * (MAX_PIPELINED + 10))
    assert statuses(answer) == [200] * MAX_PIPELINED
    assert answer.count(b"connection: close") == 1
    assert len(served.seen) == MAX_PIPELINED


async def test_a_body_that_does_not_come_is_not_waited_for(port: int, served: Served) -> None:
    served.body_seconds = 0.2
    answer = await say(port, POST + b"content-length: 5\r\n\r\nab")
    assert statuses(answer) == [408]
    served.body_seconds = SECONDS
    endless = await say(port, POST + b"transfer-encoding: chunked\r\n\r\n1", *[b";" + b"x" * 4000] * 10, pause=0.01)
    assert statuses(endless) == [400]


@pytest.mark.parametrize("head_seconds", [0.5])
@pytest.mark.parametrize("head", [b"", b"G", b"GET / HT", b"GET / HTTP/1.1\r\nx: y\r\n", SMUGGLED + b"GET"])
async def test_a_head_that_does_not_come_is_not_waited_for(port: int, head: bytes) -> None:
    answer = await say(port, head)
    assert statuses(answer) == [200] * head.count(b"smuggled")


@pytest.mark.parametrize(
    "head",
    [b"GET /%b HTTP/1.1\r\n" % (b"x" * 20_000), b"GET / HTTP/1.1\r\nx: " + b"y" * 20_000, b"GET / HTTP/1.1\r\n" + b"x: y\r\n" * 9000],
)
async def test_a_head_without_end_is_cut(port: int, head: bytes) -> None:
    assert statuses(await say(port, head[:100], head[100:])) == [431]


async def test_a_stream_ends_with_its_reader(port: int, served: Served, hall: Hall) -> None:
    for end in (True, False):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET /stream?for_ever HTTP/1.1\r\nhost: x\r\n\r\n")
        await reader.readuntil(b"piece")
        if end:
            writer.write_eof()
        else:
            writer.transport.abort()
        await eventually(lambda: not hall.connections)
        await closed(writer)
    await eventually(lambda: served.left == 2)
    assert b"piece" in await say(port, b"GET /stream?for_ever HTTP/1.1\r\nhost: x\r\n\r\n", pause=0, end=True)


async def test_a_slow_reader_of_a_body_holds_its_client_up(port: int, served: Served) -> None:
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(POST.replace(b"/post", b"/parts") + b"content-length: 50000000\r\n\r\n")
    sending = asyncio.create_task(send(writer, b"x" * 100_000, 500))
    done, _ = await asyncio.wait({sending}, timeout=0.5)
    assert not done
    assert sum(map(len, served.parts)) < 1_000_000
    served.slow = False
    async with asyncio.timeout(SECONDS):
        await sending
    await closed(writer)


async def test_a_client_that_takes_no_answer_gets_no_other_one(port: int, served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "KEEP_ALIVE_SECONDS", 0.5)
    _reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.transport.pause_reading()
    with contextlib.suppress(ConnectionError):
        async with asyncio.timeout(SECONDS):
            await send(writer, POST + b"content-length: 90000\r\n\r\n" + b"x" * 90_000, 1000)
    assert 0 < len(served.seen) < 500
    await closed(writer)


async def test_an_idle_connection_ends(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "KEEP_ALIVE_SECONDS", 0.3)
    assert statuses(await say(port, SMUGGLED)) == [200]
