"""The HTTP server and the process: what stands before a request is one, and a calm end."""

import asyncio
import contextlib
import json
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvloop

from chassis.tokens.service import new_key, public_key_set
from gateway import connection
from gateway import server as servers
from gateway.contract import Contract
from gateway.main import build, serve
from gateway.upstreams import Upstreams
from stack import ports
from tests.gateway.conftest import Tokens
from tests.gateway.shop.service import Shop
from tests.unit.chassis.moving import eventually


def free_port() -> int:
    return ports.settle("127.0.0.1", {"server": 0})[0]["server"]


@asynccontextmanager
async def running(contract: Contract, shop: Shop, made: Any) -> AsyncIterator[tuple[int, asyncio.Event]]:
    upstreams = Upstreams({"shop": f"127.0.0.1:{shop.port}"}, contract.methods)
    edge, health = build(made, contract, upstreams, principals=Tokens(), service_token=str, own={})
    ending = asyncio.Event()
    http = servers.server(edge, made)
    task = asyncio.create_task(serve(http, health, ending, drain_seconds=made.drain_seconds, leave=lambda: None))
    await http.listening.wait()
    yield made.port, ending
    ending.set()
    await task
    await upstreams.close()


@pytest.fixture
async def port(contract: Contract, shop: Shop, settings: Callable[..., Any]) -> AsyncIterator[int]:
    async with running(contract, shop, settings(port=free_port())) as (number, _):
        yield number


async def say(port: int, *pieces: bytes, pause: float = 0) -> bytes:
    """Send the pieces and return what came back; a server that closes in the middle may reset the connection after its answer."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    answer = b""
    with contextlib.suppress(ConnectionError):
        for piece in pieces:
            writer.write(piece)
            await asyncio.sleep(pause)
        async with asyncio.timeout(60):
            while some := await reader.read(65536):
                answer += some
    with contextlib.suppress(ConnectionError):
        writer.close()
        await writer.wait_closed()
    return answer


def parsed(answer: bytes) -> tuple[int, Any]:
    head, _, body = answer.partition(b"\r\n\r\n")
    return int(head.split()[1]), json.loads(body)


async def test_a_request_over_the_wire(port: int) -> None:
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:
        answer = await client.get("/v1/probes/a%2Fb")
        assert (answer.status_code, answer.json()["id"], answer.headers["content-type"]) == (200, "a/b", "application/json")
        assert (await client.get("/nothing")).status_code == 404
        async with client.stream("GET", "/v1/shelves:watch?count=3") as stream:
            assert len([line async for line in stream.aiter_lines() if line.startswith("data:")]) == 3


@pytest.mark.parametrize("version", [b"1.0", b"1.1"])
async def test_no_client_takes_a_broken_download_for_a_whole_one(port: int, version: bytes, caplog: pytest.LogCaptureFixture) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET /v1/downloads?count=3&fail_after=1 HTTP/%b\r\nhost: x\r\n\r\n" % version)
    with pytest.raises(ConnectionError):
        await reader.read()
    writer.close()
    assert [record for record in caplog.records if record.name.startswith("uvicorn")] == []


async def test_a_slow_reader_holds_a_download_up_and_one_that_leaves_ends_it(port: int, shop: Shop) -> None:
    cancelled = shop.cancelled
    _, writer = await narrow(port)
    writer.write(b"GET /v1/downloads?count=1000000&size=10000 HTTP/1.1\r\nhost: x\r\n\r\n")
    held = await settled(shop)
    assert held < 5_000
    writer.transport.abort()
    await eventually(lambda: shop.cancelled > cancelled)


async def narrow(port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Connect with little room for what is not read."""
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connection.setblocking(False)
    await asyncio.get_running_loop().sock_connect(connection, ("127.0.0.1", port))
    return await asyncio.open_connection(sock=connection, limit=1024)


async def settled(shop: Shop) -> int:
    """Return how many pieces the service had written when it wrote no more for a while."""
    before = -1
    while shop.written != before:
        before = shop.written
        await asyncio.sleep(0.5)
    return before


@pytest.mark.parametrize("raw", [b"nonsense\r\n\r\n", b"GET /\xff HTTP/1.1\r\n\r\n", b"GET / HTTP/1.1\r\nbad header\r\n\r\n"])
async def test_what_is_no_http_is_a_problem_document(port: int, raw: bytes) -> None:
    status, body = parsed(await say(port, raw))
    assert (status, body["code"], body["status"]) == (400, "BODY_INVALID", 400)


async def test_an_endless_head_is_cut(port: int) -> None:
    lines = b"".join(b"x-%d: %b\r\n" % (number, b"y" * 1000) for number in range(70))
    status, body = parsed(await say(port, b"GET /livez HTTP/1.1\r\n" + lines))
    assert (status, body["code"]) == (431, "HEADERS_TOO_LARGE")


async def test_a_head_that_does_not_come_is_not_waited_for(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(servers, "HEAD_SECONDS", 0.2)
    assert await say(port) == b""
    assert await say(port, b"GET /livez HTTP/1.1\r\n", b"x: y\r\n", pause=0.1) == b""


async def test_a_large_body_is_refused_and_the_connection_lives_on(port: int) -> None:
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:
        assert (await client.post("/v1/echo", content=b"x" * 2_000_000)).status_code == 413
        assert (await client.get("/livez")).status_code == 200


async def test_draining_loses_no_request(contract: Contract, shop: Shop, settings: Callable[..., Any]) -> None:
    """Clients that keep their connections and go on until the port is closed get an answer to every request that they sent."""
    answered, closing = [], []
    async with running(contract, shop, settings(port=free_port(), drain_seconds=1)) as (port, ending):

        async def go_on(client: httpx.AsyncClient) -> None:
            while True:
                try:
                    answer = await client.get("/v1/probes/1")
                except httpx.ConnectError:
                    return
                answered.append(answer.status_code)
                closing.append(answer.headers.get("connection"))

        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:
            going = [asyncio.create_task(go_on(client)) for _ in range(8)]
            await eventually(lambda: len(answered) > 100)
            ending.set()
            await asyncio.gather(*going)
    assert set(answered) == {200}
    assert "close" in closing


async def test_draining_answers_what_is_in_flight_and_what_is_just_coming(
    contract: Contract, shop: Shop, settings: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "LINGER_SECONDS", 60.0)
    async with running(contract, shop, settings(port=free_port(), body_seconds=60)) as (port, ending):
        post = b"POST /v1/echo HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\n"
        slow = asyncio.create_task(say(port, post + b"{", b"}", pause=0.4))
        late = asyncio.create_task(say(port, b"", b"GET /v1/probes/1 HTTP/1.1\r\nhost: x\r\n\r\n", pause=0.4))
        await asyncio.sleep(0.1)
        ending.set()
        for answer in await asyncio.gather(slow, late):
            assert answer.startswith(b"HTTP/1.1 200")
            assert b"connection: close" in answer.lower()


@pytest.mark.parametrize("run", [asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])
async def test_who_was_not_taken_yet_when_the_port_closes_is_answered(
    contract: Contract, settings: Callable[..., Any], run: Callable[..., Any]
) -> None:
    made = settings(port=free_port())

    async def close_at_once() -> bytes:
        upstreams = Upstreams({"shop": "127.0.0.1:1"}, contract.methods)
        edge, _ = build(made, contract, upstreams, principals=Tokens(), service_token=str, own={})
        http = servers.server(edge, made)
        await http.listen()
        with socket.create_connection(("127.0.0.1", made.port), timeout=60) as client:
            client.sendall(b"GET /livez HTTP/1.1\r\nhost: x\r\n\r\n")
            await http.close()  # before the loop looked at its sockets once more
            await upstreams.close()
            return client.recv(1000)

    assert (await asyncio.to_thread(run, close_at_once())).startswith(b"HTTP/1.1 ")


async def test_the_process_starts_tells_and_ends(tmp_path: Path) -> None:
    key = new_key("edge")
    (tmp_path / "key").write_text(json.dumps(key.as_dict(private=True)))
    (tmp_path / "keys").write_text(json.dumps(public_key_set([key])))
    port, admin = free_port(), free_port()
    environment = os.environ | {
        "KITH_PORT": str(port),
        "KITH_ADMIN_PORT": str(admin),
        "KITH_NATS_URL": "nats://127.0.0.1:1",
        "KITH_UPSTREAMS": json.dumps(dict.fromkeys(["identity", "crm", "calendar", "billing", "ai"], "127.0.0.1:1")),
        "KITH_SERVICE_KEY_FILE": str(tmp_path / "key"),
        "KITH_SERVICE_KEYS_FILE": str(tmp_path / "keys"),
    }
    process = await asyncio.create_subprocess_exec(sys.executable, "-m", "gateway.main", env=environment, stdout=asyncio.subprocess.PIPE)
    try:
        async with httpx.AsyncClient(timeout=30) as client:
            await until_up(client, f"http://127.0.0.1:{port}/livez")
            assert (await client.get(f"http://127.0.0.1:{port}/readyz")).json()["dependencies"]["identity"] == {"up": False, "needed": True}
            assert (await client.get(f"http://127.0.0.1:{port}/openapi.json")).json()["openapi"] == "3.1.0"
            assert (await client.get(f"http://127.0.0.1:{port}/v1/contacts")).status_code == 401
            assert "http_server_request_duration_seconds" in (await client.get(f"http://127.0.0.1:{admin}/metrics")).text
        process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(60):
            assert await process.wait() == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def until_up(client: httpx.AsyncClient, url: str) -> None:
    async with asyncio.timeout(120):
        while True:
            try:
                if (await client.get(url)).status_code == 200:
                    return
            except httpx.TransportError:
                await asyncio.sleep(0.1)


async def test_a_wrong_setting_stops_the_start(tmp_path: Path) -> None:
    environment = {"PATH": os.environ["PATH"], "KITH_PORT": "0"}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "gateway.main", env=environment, stderr=asyncio.subprocess.PIPE, cwd=Path(__file__).parents[2]
    )
    _, said = await process.communicate()
    assert process.returncode == 2
    assert b"KITH_PORT" in said
    assert b"KITH_SERVICE_KEY_FILE" in said
