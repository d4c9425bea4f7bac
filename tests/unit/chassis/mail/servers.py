"""A real mail server that answers as a test says, and what a test may read about it."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

HOST = "localhost"
HANG = "hang"
DROP = "drop"
UTF8 = True


class MailServer:
    """What it says to the next messages, and what it took. Asked for nothing, it takes all."""

    def __init__(self) -> None:
        self.port = 0
        self.taken: list[EmailMessage] = []
        self.envelopes: list[Envelope] = []
        self.to_data: list[str] = []
        self.to_recipients: list[str] = []
        self.to_senders: list[str] = []
        self.encrypted: list[bool] = []
        self.signed_in: list[str] = []
        self.shown = 0
        self.sessions = 0

    async def handle_MAIL(self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]) -> str:
        if self.to_senders:
            return self.to_senders.pop(0)
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return "250 OK"

    async def handle_RCPT(self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]) -> str:
        if self.to_recipients:
            return self.to_recipients.pop(0)
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        self.shown += 1
        answer = self.to_data.pop(0) if self.to_data else ""
        if answer == HANG:
            await asyncio.sleep(3600)
        assert isinstance(envelope.content, bytes)
        if not answer or answer == DROP:
            self.taken.append(message_from_bytes(envelope.content, policy=policy.default))
            self.envelopes.append(envelope)
            assert server.transport
            self.encrypted.append(server.transport.get_extra_info("sslcontext") is not None)
        if answer == DROP and server.transport:
            server.transport.abort()
        return answer or "250 OK"

    def sign_in(self, server: SMTP, session: Session, envelope: Envelope, mechanism: str, said: Any) -> AuthResult:
        assert isinstance(said, LoginPassword)
        self.signed_in.append(said.login.decode())
        return AuthResult(success=said.password == b"open sesame")


@asynccontextmanager
async def serving(server: MailServer, *, implicit: ssl.SSLContext | None = None, **options: Any) -> AsyncIterator[MailServer]:
    """Let the server take connections; its port stays the same when it comes back."""
    loop = asyncio.get_running_loop()
    sessions: list[SMTP] = []

    def session() -> SMTP:
        server.sessions += 1
        sessions.append(SMTP(server, hostname=HOST, loop=loop, enable_SMTPUTF8=UTF8, **options))
        return sessions[-1]

    listening = await loop.create_server(session, "127.0.0.1", server.port, ssl=implicit)
    server.port = listening.sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        listening.close()
        for each in sessions:
            if each.transport is not None:  # a session that hangs would stay open
                each.transport.close()


def certificate(folder: Path) -> tuple[Path, ssl.SSLContext]:
    """Return a self-signed certificate of this machine, as a file, and a server's context with it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, HOST)])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), now - timedelta(days=1), now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(HOST)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, SHA256())
    )
    public, private = folder / "certificate.pem", folder / "key.pem"
    public.write_bytes(made.public_bytes(Encoding.PEM))
    private.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(public, private)
    return public, context
