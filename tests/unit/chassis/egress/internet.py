"""A small internet: names that lead where a test says, and public addresses at which servers of the test stand."""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Final

import httpcore
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from chassis.egress import Address, Egress, Networks, Use
from chassis.egress.causes import Cause, Stopped
from chassis.egress.certificates import trust
from chassis.errors import Refusal

PUBLIC = "93.184.216.34"
ANOTHER = "151.101.1.69"
PATIENCE: Final = {"seconds": 60, "connect_seconds": 60, "silence_seconds": 60}
"""Times for exchanges that a slow machine must not stop."""

HOOK = Use(name="hook", **PATIENCE)
ANY = Use(name="any", schemes=frozenset({"http", "https"}), ports=frozenset(range(65536)), **PATIENCE)
"""A use that may do all that a use can allow, so that nothing is refused for a lesser reason."""

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@dataclass
class Names:
    """A resolver. Answers of one name come one after the other, the last of them for ever."""

    answers: dict[str, list[Sequence[str]]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    def lead(self, host: str, *answers: Sequence[str]) -> None:
        self.answers[host] = list(answers)

    async def resolve(self, host: str) -> Sequence[Address]:
        self.asked.append(host)
        answers = self.answers.get(host)
        if not answers:
            raise Stopped(Cause.NAME)
        return [ip_address(each) for each in (answers.pop(0) if len(answers) > 1 else answers[0])]


@dataclass
class Wires(httpcore.AsyncNetworkBackend):
    """Where connections end: at the loopback port that stands for an address, else nowhere."""

    ports: dict[str, int] = field(default_factory=dict)
    tried: list[tuple[str, int]] = field(default_factory=list)

    async def connect_tcp(self, host: str, port: int, timeout: float | None = None, **_: Any) -> httpcore.AsyncNetworkStream:  # noqa: ASYNC109
        self.tried.append((host, port))
        if host not in self.ports:
            raise httpcore.ConnectError
        return await httpcore.AnyIOBackend().connect_tcp("127.0.0.1", self.ports[host], timeout)


class Internet:
    """Names, addresses and an authority of its own; `egress` is a client in it."""

    def __init__(self, authority: "Authority") -> None:
        self.names, self.wires, self.authority = Names(), Wires(), authority

    def egress(self, **networks: Iterable[Any]) -> Egress:
        return Egress(Networks(**networks), self.names, self.authority.believed, self.wires)

    @contextlib.asynccontextmanager
    async def server(
        self, handler: Handler, *, name: str = "hooks.example.com", address: str = PUBLIC, tls: ssl.SSLContext | None = None
    ) -> AsyncIterator[None]:
        """Let a handler answer at an address to which a name leads."""
        async with listening(handler, tls=tls) as port:
            self.names.lead(name, [address])
            self.wires.ports[address] = port
            yield


@contextlib.asynccontextmanager
async def listening(handler: Handler, *, tls: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    """Let a handler answer at a port of this machine. No connection outlives the block, also of a handler that would never end."""
    handling: dict[asyncio.Task[Any], asyncio.StreamWriter] = {}

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        handling[task] = writer
        with contextlib.suppress(ConnectionError, TimeoutError, EOFError, asyncio.CancelledError):  # the client went away, or the test
            await handler(reader, writer)
        writer.close()
        with contextlib.suppress(ConnectionError, TimeoutError, ssl.SSLError):
            await writer.wait_closed()

    server = await asyncio.start_server(handle, "127.0.0.1", 0, ssl=tls)
    try:
        async with server:
            yield server.sockets[0].getsockname()[1]
    finally:
        for task, writer in handling.items():
            task.cancel()
            writer.transport.abort()
        await asyncio.gather(*handling, return_exceptions=True)


def answering(said: bytes, *, heard: list[bytes] | None = None) -> Handler:
    """Return a handler that reads one request without a body and says something."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = await reader.readuntil(b"\r\n\r\n")
        if heard is not None:
            heard.append(request)
        writer.write(said)
        await writer.drain()

    return handle


def repeating(head: bytes, piece: bytes, *, pause: float = 0) -> Handler:
    """Return a handler whose answer never ends."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(head)
        while True:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(pause)

    return handle


def ok(content: bytes, *headers: str) -> bytes:
    """Return an answer."""
    head = ["HTTP/1.1 200 OK", f"content-length: {len(content)}", *headers]
    return "\r\n".join([*head, "", ""]).encode() + content


async def stopped(egress: Egress, url: str, use: Use = ANY, **request: Any) -> str:
    """Return the cause that a request ends with."""
    with pytest.raises(Refusal) as ended:
        await egress.fetch(url, use=use, field="endpoint.url", **request)
    assert [each.field for each in ended.value.fields] == ["endpoint.url"]
    assert not url or url not in ended.value.message
    return ended.value.metadata["cause"]


class Authority:
    """An authority and the certificates that it gives out."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _name("Authority of the test")
        constraints = x509.BasicConstraints(ca=True, path_length=None)
        root = self._builder(self._name, self._key.public_key()).add_extension(constraints, critical=True).sign(self._key, hashes.SHA256())
        self.file = folder / "authority.pem"
        self.file.write_bytes(root.public_bytes(serialization.Encoding.PEM))
        self.believed = trust(self.file)

    def server(self, *names: str, days: int = 1) -> ssl.SSLContext:
        """Return what a server of these names needs; with negative days its certificate is no longer valid."""
        key = ec.generate_private_key(ec.SECP256R1())
        alternatives = x509.SubjectAlternativeName([_alternative(name) for name in names])
        leaf = (
            self._builder(_name(names[0]), key.public_key(), days)
            .add_extension(alternatives, critical=False)
            .sign(self._key, hashes.SHA256())
        )
        chain = self._folder / f"{names[0]}.{days}.pem"
        private = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        chain.write_bytes(private + leaf.public_bytes(serialization.Encoding.PEM))
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(chain)
        return context

    def _builder(self, subject: x509.Name, key: ec.EllipticCurvePublicKey, days: int = 1) -> x509.CertificateBuilder:
        now = datetime.now(UTC)
        builder = x509.CertificateBuilder().subject_name(subject).issuer_name(self._name).public_key(key)
        builder = builder.serial_number(x509.random_serial_number()).not_valid_before(now - timedelta(days=3))
        return builder.not_valid_after(now + timedelta(days=days))


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _alternative(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        return x509.DNSName(name)
