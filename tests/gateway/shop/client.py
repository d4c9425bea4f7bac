"""An HTTP client that sends exactly what it is told, straight into the edge."""

import asyncio
import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from gateway.app import Edge
from gateway.requests import Disconnected, Request
from gateway.sockets import Socket


@dataclass
class Answer:
    """What came back. `complete` is false when the transfer broke off."""

    status: int
    headers: dict[str, str]
    cookies: list[str]
    body: bytes
    complete: bool = True

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def code(self) -> str:
        assert self.headers["content-type"] == "application/problem+json", self.body
        return str(self.json["code"])


class Client:
    """Speaks to one edge from one address."""

    def __init__(self, edge: Edge, address: str = "192.0.2.1") -> None:
        self._edge = edge
        self._address = address

    async def __call__(
        self,
        method: str,
        target: str,
        body: Any = None,
        *,
        headers: dict[str, str] | Iterable[tuple[str, str]] = (),
        chunks: list[bytes] | None = None,
        pause: float = 0,
        leave: bool = False,
    ) -> Answer:
        raw = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        pieces = chunks if chunks is not None else [raw] if raw else []
        path, _, query = target.partition("?")
        given = [
            (name.lower().encode(), value.encode("latin-1")) for name, value in (headers.items() if isinstance(headers, dict) else headers)
        ]
        names = {name for name, _ in given}
        if chunks is not None:
            given.append((b"transfer-encoding", b"chunked"))
        elif b"content-length" not in names and (raw or method in {"POST", "PUT", "PATCH"}):
            given.append((b"content-length", str(len(raw)).encode()))
        wire = _Wire(pieces, pause=pause, leave=leave)
        await self._edge(Request(wire, method, path, query, given, peer=self._address))
        found = [(name, value) for name, _, value in (line.partition(": ") for line in wire.lines.decode("latin-1").splitlines())]
        return Answer(
            wire.status,
            {name: value for name, value in found if name != "set-cookie"},
            [value for name, value in found if name == "set-cookie"],
            b"" if method == "HEAD" else wire.body,
            complete=wire.complete,
        )


class _Wire:
    """Hands pieces of a body over and keeps what is answered."""

    arrived = False

    def __init__(self, pieces: list[bytes], *, pause: float, leave: bool) -> None:
        self._pieces = list(pieces)
        self._pause = pause
        self._leave = leave
        self._aborted = asyncio.Event()
        self.status, self.lines, self.body, self.complete = 499, b"", b"", True

    def welcome(self) -> None:
        pass

    async def part(self) -> bytes:
        if self._pieces:
            await asyncio.sleep(self._pause)
            return self._pieces.pop(0)
        if self._leave:
            raise Disconnected
        return b""

    async def gone(self) -> None:
        if not self._leave:
            await self._aborted.wait()

    def abort(self) -> None:
        self._aborted.set()

    def reply(self, status: int, lines: bytes, body: bytes) -> None:
        self.status, self.lines, self.body = status, lines + b"content-length: %d\r\n" % len(body) * (status != 204), body

    def begin(self, lines: bytes) -> None:
        self.status, self.lines, self.complete = 200, lines, False

    async def piece(self, data: bytes) -> None:
        self.body += data

    def end(self) -> None:
        self.complete = True

    def open(self, lines: bytes) -> Socket:
        raise NotImplementedError
