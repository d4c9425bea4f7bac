"""A queue of mails in a real database, a real mail server, and a delivery between them."""

import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest

from chassis import ids
from chassis.context import NO_TENANT, Request, enter
from chassis.database import Database, unit_of_work
from chassis.mail import Kind, Post, delivery, table
from chassis.mail.delivery import Delivery
from chassis.mail.settings import MailSettings, Tls
from chassis.mail.templates import Templates
from chassis.vault import LocalMasterKey, Vault
from tests.unit.chassis import servers
from tests.unit.chassis.mail.servers import HOST, MailServer
from tests.unit.chassis.moving import Clock
from tests.unit.chassis.servers import Served

GREETING = Kind(name="greeting", page="greet", lasts=timedelta(days=1), values=frozenset({"name"}))
TO = "reader@example.com"
PUBLIC_URL = "https://kith.example.com"

Put = Callable[..., Awaitable[None]]
Deliver = Callable[..., AbstractAsyncContextManager[Delivery]]
Waiting = Callable[[], Awaitable[list[dict[str, Any]]]]


@pytest.fixture(scope="session")
async def with_mails(admin_dsn: str) -> Served:
    """A service that sends mail."""
    billing = await servers.database(admin_dsn, "billing")
    servers.migrate(billing, table.create)
    return billing


@pytest.fixture
async def admin(with_mails: Served) -> AsyncIterator[psycopg.AsyncConnection[Any]]:
    async with await psycopg.AsyncConnection.connect(with_mails.admin, autocommit=True) as connection:
        await connection.execute("TRUNCATE mails")
        yield connection


@pytest.fixture
def waiting(admin: psycopg.AsyncConnection[Any]) -> Waiting:
    """`await waiting()` returns the rows of mails that are not sent."""

    async def look() -> list[dict[str, Any]]:
        cursor = await admin.execute("SELECT id::text, kind, sealed, tries, due_time FROM mails ORDER BY id")
        columns = [column.name for column in cursor.description or ()]
        return [dict(zip(columns, row, strict=True)) for row in await cursor.fetchall()]

    return look


@pytest.fixture(scope="session")
def vault() -> Vault:
    return Vault(LocalMasterKey(secrets.token_bytes(32)))


@pytest.fixture
def templates(tmp_path: Path) -> Templates:
    (tmp_path / "greeting.en.txt").write_text("Hello $name\n\nDear $name, this is for you.\n\nLook at it\n$link\n")
    (tmp_path / "greeting.de.txt").write_text("Hallo $name\n\nSchön, dass es dich gibt, $name.\n\nAnsehen\n$link\n")
    return Templates(tmp_path, [GREETING])


@pytest.fixture
async def put(with_mails: Served, admin: object, vault: Vault, time: Clock) -> AsyncIterator[Put]:
    """`await put()` commits a unit of work in which a mail was handed over."""
    post = Post(vault)
    async with Database(with_mails.runtime) as database:

        async def make(to: str = TO, locale: str = "en", kind: Kind = GREETING, **values: str) -> None:
            enter(Request(request_id=ids.new(), database=database))
            async with unit_of_work(NO_TENANT) as work:
                await post.send(work, kind.mail(to=to, locale=locale, token="t0ken", **(values or {"name": "Reader"})))

        yield make


@pytest.fixture
def mail_server() -> MailServer:
    return MailServer()


@pytest.fixture
def deliver(with_mails: Served, vault: Vault, templates: Templates, mail_server: MailServer, monkeypatch: pytest.MonkeyPatch) -> Deliver:
    """`async with deliver():` sends to the mail server; keywords replace settings."""
    monkeypatch.setattr(delivery, "LOOK", 0.01)

    @asynccontextmanager
    async def run(**replaced: Any) -> AsyncIterator[Delivery]:
        settings = MailSettings(
            **{
                "mail_host": HOST,
                "mail_port": mail_server.port or 1,
                "mail_tls": Tls.NONE,
                "mail_from": "Kith <no-reply@example.com>",
                "mail_timeout": 20,
                **replaced,
            }
        )
        async with Delivery(settings, templates, vault, dsn=with_mails.system, public_url=PUBLIC_URL) as running:
            yield running

    return run
