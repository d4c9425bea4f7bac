"""WebSockets on one connection: opened as the standard says, ended in order, and never taken for a request."""

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from gateway.connection import Hall
from tests.gateway.wire import SECONDS, Served, hall, head_seconds, port, say, served, statuses
from tests.unit.chassis.moving import eventually

__all__ = ["hall", "head_seconds", "port", "served"]

OPENING = (
    b"GET /socket HTTP/1.1\r\nhost: x\r\nconnection: keep-alive, Upgrade\r\nupgrade: websocket\r\n"
    b"sec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\nsec-websocket-version: 13\r\n\r\n"
)


async def test_a_socket_opens_speaks_and_ends(port: int, served: Served, hall: Hall) -> None:
    url = f"ws://127.0.0.1:{port}/socket"
    async with connect(f"{url}?short", compression=None, proxy=None, open_timeout=SECONDS) as short:
        assert short.response is not None
        assert short.response.headers["x-request-id"] == "1"
        assert await short.recv() == "hello"
        with pytest.raises(ConnectionClosed) as closed:
            await short.recv()
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1012
    async with connect(url, compression=None, proxy=None, open_timeout=SECONDS) as long:
        assert await long.recv() == "hello"
        for _ in range(100):
            await long.send("nobody listens")
        await (await long.ping())
        await long.send("x" * 10_000)
        with pytest.raises(ConnectionClosed) as closed:
            await long.recv()
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1009
    await eventually(lambda: not hall.connections)
    await eventually(lambda: served.left == 1)


async def test_what_a_client_sends_right_behind_the_opening_is_heard(port: int, served: Served) -> None:
    answer = await say(port, OPENING + b"\x88\x80\0\0\0\0")
    assert answer.startswith(b"HTTP/1.1 101 ")
    assert answer.endswith(b"\x88\0")
    await eventually(lambda: served.left == 1)


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
