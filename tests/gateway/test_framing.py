"""How requests are framed on one connection: nobody smuggles one, cuts one short, or gets another one's answer."""

import asyncio

import pytest

from tests.gateway.wire import END, POST, SMUGGLED, Served, closed, hall, head_seconds, port, say, served, statuses
from tests.unit.chassis.moving import eventually

__all__ = ["hall", "head_seconds", "port", "served"]


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
    await eventually(lambda: served.begun == 1)
    if reset:
        writer.transport.abort()
    else:
        writer.write_eof()
        assert await reader.read() == b""
    await closed(writer)
    await eventually(lambda: served.left == 1)
    assert served.seen == []


async def test_a_body_that_breaks_is_refused(port: int, served: Served) -> None:
    answer = await say(port, POST + b"transfer-encoding: chunked\r\n\r\n1\r\na\r\n", b"nonsense\r\n")
    assert statuses(answer) == [400]
    assert b"connection: close" in answer


async def test_trailers_count_as_a_head_does_and_mean_nothing(port: int, served: Served) -> None:
    body = POST + b"transfer-encoding: chunked\r\n\r\n0\r\n"
    assert statuses(await say(port, body + b"host: y\r\nx-csrf: 1\r\n\r\n" + END)) == [200, 200]
    assert statuses(await say(port, body + b"x: y\r\n" * 9000)) == [400]
    assert statuses(await say(port, body + b"x: ", *[b"y" * 4000] * 5, pause=0.01)) == [400]


async def test_who_has_said_all_still_gets_an_answer(port: int, served: Served) -> None:
    assert statuses(await say(port, SMUGGLED * 3, pause=0, end=True)) == [200] * 3


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


async def test_what_is_not_answered_is_broken_off(port: int, caplog: pytest.LogCaptureFixture) -> None:
    assert statuses(await say(port, b"GET /wrong HTTP/1.1\r\nhost: x\r\n\r\n" + SMUGGLED)) == []


async def test_a_body_that_nobody_reads_does_not_hold_up_the_next_request(port: int, served: Served) -> None:
    unread = POST.replace(b"/post", b"/unread") + b"content-length: 3000000\r\n\r\n" + b"x" * 3_000_000
    assert statuses(await say(port, unread + END, pause=0)) == [413, 200]
