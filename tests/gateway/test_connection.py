"""The HTTP/1.1 connection by itself: nobody smuggles a request, holds the edge up, or gets another one's answer."""

import asyncio
import contextlib
import re
import threading
from collections.abc import Callable, Iterator
from queue import Queue

import pytest
import uvloop
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from gateway import connection as connections
from gateway import headers
from gateway.connection import MAX_PIPELINED, Connection, Hall
from gateway.problems import Problem
from gateway.requests import Disconnected, Request
from gateway.sending import lines

END = b"GET /end HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"
OPENING = (
    b"GET /socket HTTP/1.1\r\nhost: x\r\nconnection: keep-alive, Upgrade\r\nupgrade: websocket\r\n"
    b"sec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\nsec-websocket-version: 13\r\n\r\n"
)
SMUGGLED = b"GET /smuggled HTTP/1.1\r\nhost: x\r\n\r\n"
POST = b"POST /post HTTP/1.1\r\nhost: x\r\n"


class Served:
    """Answers each request with its body, and remembers it."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, str, str, bytes]] = []
        self.parts: list[bytes] = []
        self.left = 0
        self.slow = True
        self.body_seconds = 5.0

    async def __call__(self, request: Request) -> None:
        request.headers = headers.read(request.raw, max_bytes=100_000)
        wire = request.wire
        try:
            if request.socket:
                await self.socket(request)
            elif request.path == "/unread":
                wire.reply(413, b"", b"")
            elif request.path == "/parts":
                async for part in request.chunks(limit=10**9, pause=5):
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
    return 5.0


@pytest.fixture
def port(hall: Hall, head_seconds: float) -> Iterator[int]:
    """Serve on the loop that the edge runs on, since loops differ in how they tell of a connection's end."""
    found: Queue[tuple[int, Callable[[], None]]] = Queue()
    thread = threading.Thread(target=lambda: uvloop.run(serve(hall, head_seconds, found)))
    thread.start()
    number, stop = found.get(timeout=5)
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
        async with asyncio.timeout(10):
            while some := await reader.read(65536):
                found += some
    await closed(writer)
    return found


async def until(done: Callable[[], bool]) -> None:
    """Wait for what the server does in its own thread."""
    async with asyncio.timeout(5):
        while not done():  # noqa: ASYNC110 - there is no event to wait for
            await asyncio.sleep(0.01)


def statuses(answer: bytes) -> list[int]:
    return [int(status) for status in re.findall(rb"HTTP/1\.1 (\d{3}) ", answer)]


@pytest.mark.parametrize(
    "head",
    [
        POST + b"content-length: 6\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        POST + b"transfer-encoding: chunked\r\ncontent-length: 6\r\n\r\n0\r\n\r\n",
        POST + b"content-length: 0\r\ncontent-length: 40\r\n\r\n",
        POST + b"content-length: 0\r\ncontent-length: 0\r\n\r\n",
        POST + b"content-length: 0, 0\r\n\r\n",
        POST + b"content-length: +0\r\n\r\n",
        POST + b"content-length: -1\r\n\r\n",
        POST + b"content-length: 0x0\r\n\r\n",
        POST + b"content-length: 99999999999999999999999\r\n\r\n",
        POST + b"content-length:\r\n\r\n",
        POST + b"content-length : 0\r\n\r\n",
        POST + b"transfer-encoding: identity\r\n\r\n",
        POST + b"transfer-encoding: xchunked\r\n\r\n",
        POST + b"transfer-encoding: chunked, identity\r\n\r\n0\r\n\r\n",
        POST + b"transfer-encoding: chunked\r\ntransfer-encoding: identity\r\n\r\n0\r\n\r\n",
        POST + b"transfer-encoding : chunked\r\n\r\n0\r\n\r\n",
        POST + b"transfer-encoding: chunked\r\n\r\n-0\r\n\r\n",
        POST + b"transfer-encoding: chunked\r\n\r\n0x0\r\n\r\n",
        POST + b"transfer-encoding: chunked\r\n\r\nfffffffffffffffff\r\n",
        POST + b"transfer-encoding: chunked\r\n\r\n1\r\nab\r\n0\r\n\r\n",
        POST + b"transfer-encoding: chunked\r\n\r\n1\na\n0\n\n",
        POST + b"transfer-encoding: chunked\r\n\r\n0;a\nb\r\n\r\n",
        b"POST /post HTTP/1.0\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        b"GET /get HTTP/1.1\nhost: x\n\n",
        b"GET /get HTTP/1.1\r\nhost: x\nx: y\r\n\r\n",
        b"GET /get HTTP/1.1\r\nhost: x\rx: y\r\n\r\n",
        b"GET /get HTTP/1.1\r\nhost: x\r\nx: y\r\n z\r\n\r\n",
        b"GET /get HTTP/1.1\r\n host: x\r\n\r\n",
        b"GET /get HTTP/1.1\r\nhost: x\r\nx: a\0b\r\n\r\n",
        b"GET /get HTTP/1.1\r\nhost: x\r\n: y\r\n\r\n",
        b"GET /get HTTP/2.0\r\nhost: x\r\n\r\n",
        b"GET /get HTTP/0.9\r\nhost: x\r\n\r\n",
        b"GET /get\r\n\r\n",
        b"GET /a b HTTP/1.1\r\nhost: x\r\n\r\n",
        b"GET /\xc3\xa9 HTTP/1.1\r\nhost: x\r\n\r\n",
        b"get /get HTTP/1.1\r\nhost: x\r\n\r\n",
        b"nonsense\r\n\r\n",
        b"\0",
    ],
)
async def test_what_two_servers_could_read_in_two_ways_is_refused(port: int, served: Served, head: bytes) -> None:
    answer = await say(port, head + SMUGGLED)
    assert statuses(answer) == [400]
    assert served.seen == []


@pytest.mark.parametrize("size", [1, 3, 1000])
async def test_however_a_request_is_cut_it_is_the_same(port: int, served: Served, size: int) -> None:
    whole = (
        POST + b"transfer-encoding: chunked\r\nx-long: %b\r\n\r\n3;ext=1\r\nabc\r\n2\r\nde\r\n0\r\ntrailer: t\r\n\r\n" % (b"y" * 20) + END
    )
    answer = await say(port, *(whole[place : place + size] for place in range(0, len(whole), size)), pause=0)
    assert statuses(answer) == [200, 200]
    assert served.seen == [("POST", "/post", "", b"abcde"), ("GET", "/end", "", b"")]


async def test_requests_sent_ahead_are_answered_in_their_order(port: int, served: Served) -> None:
    ahead = b"".join(POST.replace(b"/post", b"/%d" % number) + b"content-length: 1\r\n\r\n%d" % number for number in range(8))
    answer = await say(port, ahead + END)
    assert served.paths == [f"/{number}" for number in range(8)] + ["/end"]
    assert [part[:1] for part in answer.split(b"\r\n\r\n")[1:9]] == [b"%d" % number for number in range(8)]


async def test_more_requests_ahead_than_anybody_needs_end_the_connection(port: int, served: Served) -> None:
    answer = await say(port, SMUGGLED * (MAX_PIPELINED + 10))
    assert statuses(answer) == [200] * MAX_PIPELINED
    assert answer.count(b"connection: close") == 1
    assert len(served.seen) == MAX_PIPELINED


async def test_what_comes_behind_the_last_request_is_not_read(port: int, served: Served) -> None:
    assert statuses(await say(port, END + SMUGGLED)) == [200]
    assert statuses(await say(port, END + b"garbage")) == [200]
    assert served.paths == ["/end", "/end"]


async def test_garbage_behind_a_request_does_not_cost_its_answer(port: int, served: Served) -> None:
    assert statuses(await say(port, SMUGGLED + b"\0garbage")) == [200]


async def test_an_upgrade_that_nobody_knows_is_passed_over(port: int, served: Served) -> None:
    answer = await say(port, SMUGGLED.replace(b"host", b"connection: upgrade\r\nupgrade: h2c\r\nhost") + SMUGGLED)
    assert statuses(answer) == [200]
    assert b"connection: close" in answer


@pytest.mark.parametrize(
    "body", [b"content-length: 5\r\n\r\nabc", b"transfer-encoding: chunked\r\n\r\n5\r\nabc", b"content-length: 5\r\n\r\n"]
)
@pytest.mark.parametrize("reset", [False, True])
async def test_a_body_that_is_cut_short_is_no_body(port: int, served: Served, body: bytes, reset: bool) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(POST + body)
    await asyncio.sleep(0.05)
    if reset:
        writer.transport.abort()
    else:
        writer.write_eof()
        assert await reader.read() == b""
    await closed(writer)
    await until(lambda: served.left == 1)
    assert served.seen == []


async def test_a_body_that_breaks_is_refused(port: int, served: Served) -> None:
    answer = await say(port, POST + b"transfer-encoding: chunked\r\n\r\n1\r\na\r\n", b"nonsense\r\n")
    assert statuses(answer) == [400]
    assert b"connection: close" in answer


async def test_a_body_that_does_not_come_is_not_waited_for(port: int, served: Served) -> None:
    served.body_seconds = 0.2
    answer = await say(port, POST + b"content-length: 5\r\n\r\nab")
    assert statuses(answer) == [408]
    served.body_seconds = 5
    endless = await say(port, POST + b"transfer-encoding: chunked\r\n\r\n1", *[b";" + b"x" * 4000] * 10, pause=0.01)
    assert statuses(endless) == [400]


@pytest.mark.parametrize("head_seconds", [0.2])
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


async def test_trailers_count_as_a_head_does_and_mean_nothing(port: int, served: Served) -> None:
    body = POST + b"transfer-encoding: chunked\r\n\r\n0\r\n"
    assert statuses(await say(port, body + b"host: y\r\nx-csrf: 1\r\n\r\n" + END)) == [200, 200]
    assert statuses(await say(port, body + b"x: y\r\n" * 9000)) == [400]
    assert statuses(await say(port, body + b"x: ", *[b"y" * 4000] * 5, pause=0.01)) == [400]


async def test_who_has_said_all_still_gets_an_answer(port: int, served: Served) -> None:
    assert statuses(await say(port, SMUGGLED * 3, pause=0, end=True)) == [200] * 3


async def test_a_stream_ends_with_its_reader(port: int, served: Served, hall: Hall) -> None:
    for end in (True, False):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET /stream?for_ever HTTP/1.1\r\nhost: x\r\n\r\n")
        await reader.readuntil(b"piece")
        if end:
            writer.write_eof()
        else:
            writer.transport.abort()
        await until(lambda: not hall.connections)
        await closed(writer)
    assert served.left == 2
    assert b"piece" in await say(port, b"GET /stream?for_ever HTTP/1.1\r\nhost: x\r\n\r\n", pause=0, end=True)


async def test_pieces_to_old_and_new_clients(port: int) -> None:
    new = await say(port, b"GET /stream HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
    assert new.endswith(b"\r\n\r\n" + b"5\r\npiece\r\n" * 3 + b"0\r\n\r\n")
    old = await say(port, b"GET /stream HTTP/1.0\r\n\r\n")
    assert b"transfer-encoding" not in old
    assert old.endswith(b"\r\n\r\npiecepiecepiece")
    assert (await say(port, b"HEAD /stream HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")).endswith(b"\r\n\r\n")


async def test_the_head_of_an_answer(port: int) -> None:
    answer = await say(port, b"HEAD /a?b HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
    assert answer == b"HTTP/1.1 200 OK\r\ndate: now\r\nx-path: /a\r\nconnection: close\r\ncontent-length: 4\r\n\r\n"
    assert b"connection: close" in await say(port, b"GET / HTTP/1.0\r\nconnection: keep-alive\r\n\r\n")


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        (b"/a%2Fb?c=%20", ("/a%2Fb", "c=%20")),
        (b"http://x/a?b", ("/a", "b")),
        (b"http://x", ("", "")),
        (b"/a#b", ("/a", "")),
        (b"//a/b", ("//a/b", "")),
        (b"/?", ("/", "")),
        (b"/a?b?c", ("/a", "b?c")),
    ],
)
async def test_targets(port: int, served: Served, target: bytes, expected: tuple[str, str]) -> None:
    await say(port, b"GET %b HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n" % target)
    assert [(path, query) for _, path, query, _ in served.seen] == [expected]


async def test_a_body_is_asked_for_when_it_is_wanted(port: int) -> None:
    head = POST + b"expect: 100-continue\r\ncontent-length: 2\r\nconnection: close\r\n\r\n"
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(head)
    assert statuses(await reader.readuntil(b"\r\n\r\n")) == [100]
    writer.write(b"ab")
    assert statuses(await reader.read()) == [200]
    await closed(writer)
    assert statuses(await say(port, head.replace(b"/post", b"/unread"))) == [413]
    assert statuses(await say(port, head + b"ab")) == [200]


async def test_a_slow_reader_of_a_body_holds_its_client_up(port: int, served: Served) -> None:
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(POST.replace(b"/post", b"/parts") + b"content-length: 50000000\r\n\r\n")
    sending = asyncio.create_task(send(writer, b"x" * 100_000, 500))
    done, _ = await asyncio.wait({sending}, timeout=0.5)
    assert not done
    assert sum(map(len, served.parts)) < 1_000_000
    served.slow = False
    async with asyncio.timeout(5):
        await sending
    await closed(writer)


async def test_a_client_that_takes_no_answer_gets_no_other_one(port: int, served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "KEEP_ALIVE_SECONDS", 0.5)
    _reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.transport.pause_reading()
    with contextlib.suppress(ConnectionError):
        async with asyncio.timeout(5):
            await send(writer, POST + b"content-length: 90000\r\n\r\n" + b"x" * 90_000, 1000)
    assert 0 < len(served.seen) < 500
    await closed(writer)


async def send(writer: asyncio.StreamWriter, piece: bytes, count: int) -> None:
    for _ in range(count):
        writer.write(piece)
        await writer.drain()


async def closed(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with contextlib.suppress(ConnectionError):
        await writer.wait_closed()


async def test_what_is_not_answered_is_broken_off(port: int, caplog: pytest.LogCaptureFixture) -> None:
    assert statuses(await say(port, b"GET /wrong HTTP/1.1\r\nhost: x\r\n\r\n" + SMUGGLED)) == []


async def test_a_body_that_nobody_reads_does_not_hold_up_the_next_request(port: int, served: Served) -> None:
    unread = POST.replace(b"/post", b"/unread") + b"content-length: 3000000\r\n\r\n" + b"x" * 3_000_000
    assert statuses(await say(port, unread + END, pause=0)) == [413, 200]


async def test_an_idle_connection_ends(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "KEEP_ALIVE_SECONDS", 0.3)
    assert statuses(await say(port, SMUGGLED)) == [200]


async def test_a_socket_opens_speaks_and_ends(port: int, served: Served, hall: Hall) -> None:
    url = f"ws://127.0.0.1:{port}/socket"
    async with connect(f"{url}?short", compression=None, proxy=None) as short:
        assert short.response is not None
        assert short.response.headers["x-request-id"] == "1"
        assert await short.recv() == "hello"
        with pytest.raises(ConnectionClosed) as closed:
            await short.recv()
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1012
    async with connect(url, compression=None, proxy=None) as long:
        assert await long.recv() == "hello"
        for _ in range(100):
            await long.send("nobody listens")
        await (await long.ping())
        await long.send("x" * 10_000)
        with pytest.raises(ConnectionClosed) as closed:
            await long.recv()
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1009
    await until(lambda: not hall.connections)
    assert served.left == 1


async def test_what_a_client_sends_right_behind_the_opening_is_heard(port: int, served: Served) -> None:
    answer = await say(port, OPENING + b"\x88\x80\0\0\0\0")
    assert answer.startswith(b"HTTP/1.1 101 ")
    assert answer.endswith(b"\x88\0")
    await until(lambda: served.left == 1)


@pytest.mark.parametrize(
    ("wrong", "status"),
    [
        (OPENING.replace(b"websocket-version: 13", b"websocket-version: 12"), 400),
        (OPENING.replace(b"AAAAAAAAAAAAAAAAAAAAAA==", b"A"), 400),
        (OPENING.replace(b"sec-websocket-key", b"x"), 400),
        (OPENING.replace(b"upgrade: websocket", b"upgrade: h2c"), 200),
        (OPENING.replace(b"GET", b"POST"), 200),
        (OPENING.replace(b"1.1", b"1.0"), 200),
    ],
)
async def test_what_opens_no_socket_is_answered_as_any_request(port: int, wrong: bytes, status: int) -> None:
    answer = await say(port, wrong)
    assert statuses(answer) == [status]
    assert b"connection: close" in answer
