"""What a server may do to a client: nothing that has no bound."""

import asyncio
import gzip
from typing import Any, cast

import httpcore
import pytest

from chassis.egress import Streamed, Use
from chassis.egress.exchange import HEAD_BYTES, HEAD_FIELDS
from chassis.errors import FailedPrecondition, Reason
from tests.unit.chassis.egress.internet import ANOTHER, ANY, PATIENCE, Internet, answering, ok, repeating, stopped

URL = "http://hooks.example.com/path?query=1"
SMALL = Use(name="small", schemes=frozenset({"http"}), size=100_000, **PATIENCE)
HASTY = Use(name="hasty", schemes=frozenset({"http"}), seconds=0.5)
CHUNKED = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"


async def test_an_answer_is_returned_as_it_came(internet: Internet) -> None:
    said = b"HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\nX-Many: 1\r\nx-many: 2\r\n\r\nbody"
    async with internet.server(answering(said)):
        answer = await internet.egress().fetch(URL, use=ANY, field="url")
    assert (answer.status, answer.content) == (404, b"body")
    assert answer.headers == {"content-length": "4", "x-many": "1, 2"}


async def test_a_request_says_no_more_than_its_caller_means(internet: Internet, monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    netrc = tmp_path / ".netrc"
    netrc.write_text("machine hooks.example.com login somebody password secret\n")
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1/")
    monkeypatch.setenv("NETRC", str(netrc))
    heard: list[bytes] = []
    async with internet.server(answering(ok(b"", "set-cookie: a=b; Domain=example.com"), heard=heard)):
        for _ in range(2):
            await internet.egress().fetch(URL, use=ANY, field="url", headers={"Accept": "application/json", "X-Own": "1"})
    expected = [b"GET /path?query=1 HTTP/1.1", b"host: hooks.example.com", b"user-agent: Kith", b"accept: application/json", b"x-own: 1"]
    expected += [b"accept-encoding: identity", b"connection: close", b"", b""]
    assert [request.split(b"\r\n") for request in heard] == [expected] * 2


async def test_content_is_sent(internet: Internet) -> None:
    heard: list[bytes] = []

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.extend([await reader.readuntil(b"\r\n\r\n"), await reader.readexactly(5)])
        writer.write(ok(b"thanks"))

    async with internet.server(handle):
        answer = await internet.egress().fetch(URL, use=ANY, field="url", method="POST", content=b"hello")
    assert answer.content == b"thanks"
    assert b"content-length: 5\r\n" in heard[0]
    assert heard[1] == b"hello"


@pytest.mark.parametrize("name", ["Host", "CONTENT-LENGTH", "transfer-encoding", "Connection", "accept-encoding", "Upgrade", "expect"])
async def test_how_the_exchange_goes_is_not_for_callers_to_say(internet: Internet, name: str) -> None:
    async with internet.server(answering(ok(b""))):
        with pytest.raises(ValueError, match=name.lower()):
            await internet.egress().fetch(URL, use=ANY, field="url", headers={name: "x"})


@pytest.mark.parametrize("headers", [{"x-own": "1\r\nhost: 127.0.0.1"}, {"x-own\r\nhost": "1"}, {"x own": "1"}])
async def test_a_header_cannot_become_two(internet: Internet, headers: dict[str, str]) -> None:
    heard: list[bytes] = []
    async with internet.server(answering(ok(b""), heard=heard)):
        with pytest.raises(httpcore.LocalProtocolError):
            await internet.egress().fetch(URL, use=ANY, field="url", headers=headers)
    assert heard == []


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_an_answer_and_nothing_is_called(internet: Internet, status: int) -> None:
    said = f"HTTP/1.1 {status} Elsewhere\r\ncontent-length: 0\r\nlocation: http://inside.example.com/\r\n\r\n".encode()
    internet.names.lead("inside.example.com", [ANOTHER])
    async with internet.server(answering(said)):
        answer = await internet.egress().fetch(URL, use=ANY, field="url")
    assert (answer.status, answer.headers["location"]) == (status, "http://inside.example.com/")
    assert internet.names.asked == ["hooks.example.com"]
    assert len(internet.wires.tried) == 1


async def test_a_body_of_the_largest_size_is_taken(internet: Internet) -> None:
    async with internet.server(answering(ok(b"x" * SMALL.size))):
        assert len((await internet.egress().fetch(URL, use=SMALL, field="url")).content) == SMALL.size


@pytest.mark.parametrize(
    "said",
    [
        ok(b"x" * (SMALL.size + 1)),
        b"HTTP/1.1 200 OK\r\ncontent-length: 99999999999999999999\r\n\r\n",
        CHUNKED + b"186a1\r\n" + b"x" * (SMALL.size + 1) + b"\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * (SMALL.size + 1),
        b"HTTP/1.0 200 OK\r\n\r\n" + b"x" * (SMALL.size + 1),
    ],
    ids=["said", "only said", "chunked", "until the end", "HTTP/1.0"],
)
async def test_a_larger_body_is_not(internet: Internet, said: bytes) -> None:
    async with internet.server(answering(said)):
        assert await stopped(internet.egress(), URL, SMALL) == "size"


async def test_a_body_that_would_be_too_large_is_none_of_a_head(internet: Internet) -> None:
    async with internet.server(answering(b"HTTP/1.1 200 OK\r\ncontent-length: 99999999999\r\n\r\n")):
        answer = await internet.egress().fetch(URL, use=SMALL, field="url", method="HEAD")
    assert answer.headers["content-length"] == "99999999999"


async def test_an_endless_body_is_cut_off(internet: Internet) -> None:
    async with internet.server(repeating(CHUNKED, b"1000\r\n" + b"x" * 0x1000 + b"\r\n")):
        assert await stopped(internet.egress(), URL, SMALL) == "size"


@pytest.mark.parametrize("encoding", ["gzip", "br", "deflate", "zstd", "x-gzip", "identity, gzip", ""])
async def test_compressed_content_is_refused_before_it_is_read(internet: Internet, encoding: str) -> None:
    bomb = gzip.compress(b"\0" * 10_000_000)
    assert len(bomb) < SMALL.size
    async with internet.server(answering(ok(bomb, f"Content-Encoding: {encoding}"))):
        assert await stopped(internet.egress(), URL, SMALL) == "encoding"


@pytest.mark.parametrize(
    "said",
    [
        b"HTTP/1.1 200 OK\r\nx: " + b"x" * (HEAD_BYTES + 1) + b"\r\ncontent-length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * (HEAD_FIELDS + 1) + b"content-length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * 100_000,
        b"HTTP/1.1 200 " + b"O" * 300_000,
        CHUNKED + b"1;" + b"x" * 300_000,
        CHUNKED + b"0\r\nx: " + b"x" * 300_000,
    ],
    ids=["long", "many", "endless", "reason", "extension of a chunk", "trailers"],
)
async def test_a_head_has_bounds_and_so_has_all_that_is_like_one(internet: Internet, said: bytes) -> None:
    async with internet.server(answering(said)):
        assert await stopped(internet.egress(), URL) == "head"


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"\x16\x03\x01\x02\x00",
        b"SSH-2.0-OpenSSH_9.9\r\n\r\n",
        b"220 mail.example.com ESMTP\r\n\r\n",
        b"HTTP/2 200\r\n\r\n",
        b"HTTP/1.1 999999 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nhello!",
        b"HTTP/1.1 200 OK\r\ncontent-length: -5\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\ncontent-length: " + b"9" * 5000 + b"\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: gzip, chunked\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhello",
        CHUNKED + b"5\r\nhello\r\n",
        CHUNKED + b"zz\r\nhello\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n",
    ],
)
async def test_what_is_no_whole_answer_is_none(internet: Internet, said: bytes) -> None:
    async with internet.server(answering(said)):
        assert await stopped(internet.egress(), URL) == "protocol"


@pytest.mark.parametrize(
    ("head", "piece"),
    [
        (b"", b""),
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
        (b"HTTP/1.1 200 OK\r\n", b"x: y\r\n"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n", b"x"),
        (CHUNKED, b"1\r\nx\r\n"),
    ],
    ids=["silence", "informational", "head", "body", "chunks"],
)
async def test_a_server_that_drips_is_left(internet: Internet, head: bytes, piece: bytes) -> None:
    async with internet.server(repeating(head, piece, pause=0.05)):
        assert await stopped(internet.egress(), URL, HASTY) == "time"


async def test_silence_is_not_waited_out(internet: Internet) -> None:
    patient = Use(name="patient", schemes=frozenset({"http"}), **(PATIENCE | {"silence_seconds": 0.2}))
    async with internet.server(repeating(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n", b"")):
        assert await stopped(internet.egress(), URL, patient) == "time"


async def test_a_server_that_takes_nothing_is_left(internet: Internet) -> None:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        cast("Any", reader)._transport.pause_reading()
        await asyncio.sleep(600)

    async with internet.server(handle):
        assert await stopped(internet.egress(), URL, HASTY, method="POST", content=b"x" * 20_000_000) == "time"


async def test_a_stream_is_read_piece_by_piece_and_left_when_enough_is_known(internet: Internet) -> None:
    left = asyncio.Event()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(CHUNKED + b"5\r\nhello\r\n")
        await writer.drain()
        assert await reader.read() == b""
        left.set()

    async with internet.server(handle):
        async with internet.egress().stream(URL, use=ANY, field="url") as answer:
            pieces = aiter(answer)
            assert (answer.status, await anext(pieces)) == (200, b"hello")
        async with asyncio.timeout(20):
            await left.wait()


async def test_a_reader_of_a_stream_hears_what_stopped_it(internet: Internet) -> None:
    taken = 0

    async def read(answer: Streamed) -> None:
        nonlocal taken
        async for piece in answer:
            taken += len(piece)

    endless = repeating(CHUNKED, b"1000\r\n" + b"x" * 0x1000 + b"\r\n")
    async with internet.server(endless), internet.egress().stream(URL, use=SMALL, field="photo.url") as answer:
        with pytest.raises(FailedPrecondition) as ended:
            await read(answer)
    assert ended.value.reason == Reason.EGRESS_FAILED
    assert 0 < taken <= SMALL.size
