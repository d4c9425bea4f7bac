"""An HTTP client that sends exactly what it is told, straight into the ASGI application."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from typing import Any

from gateway.app import Edge


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
        sent: list[Any] = []
        given = [
            (name.lower().encode(), value.encode("latin-1")) for name, value in (headers.items() if isinstance(headers, dict) else headers)
        ]
        names = {name for name, _ in given}
        if chunks is not None:
            given.append((b"transfer-encoding", b"chunked"))
        elif b"content-length" not in names and (raw or method in {"POST", "PUT", "PATCH"}):
            given.append((b"content-length", str(len(raw)).encode()))
        scope = {
            "type": "http",
            "method": method,
            "path": path,
            "raw_path": path.encode("latin-1"),
            "query_string": query.encode("latin-1"),
            "headers": given,
            "client": (self._address, 12345),
        }
        incoming = self._messages(pieces, pause=pause, leave=leave)
        aborted = asyncio.Event()
        scope["abort"] = aborted.set

        async def receive() -> Any:
            return {"type": "http.disconnect"} if aborted.is_set() else await anext(incoming)

        async def send(message: Any) -> None:
            sent.append(message)

        await self._edge(scope, receive, send)
        await incoming.aclose()
        if not sent:
            return Answer(499, {}, [], b"")
        start = sent[0]
        found = [(name.decode(), value.decode()) for name, value in start["headers"]]
        return Answer(
            start["status"],
            {name: value for name, value in found if name != "set-cookie"},
            [value for name, value in found if name == "set-cookie"],
            b"".join(message.get("body", b"") for message in sent[1:]),
            complete=not sent[-1].get("more_body", False),
        )

    async def _messages(self, pieces: list[bytes], *, pause: float, leave: bool) -> AsyncIterator[Any]:
        for index, piece in enumerate(pieces):
            await asyncio.sleep(pause)
            yield {"type": "http.request", "body": piece, "more_body": index + 1 < len(pieces) or leave}
        if not pieces:
            yield {"type": "http.request", "body": b"", "more_body": False}
        if leave:
            yield {"type": "http.disconnect"}
        await asyncio.Event().wait()
