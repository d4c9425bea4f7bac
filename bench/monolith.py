"""Starts the monolith on a database of its own in the same PostgreSQL, with the same number of contacts."""

import asyncio
import json
import secrets
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Final
from uuid import UUID, uuid4

import psycopg
from joserfc import jwt
from joserfc.jwk import ECKey
from psycopg.conninfo import conninfo_to_dict
from sqlalchemy import URL, text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.ext.asyncio.session import async_sessionmaker
from uuid_utils.compat import uuid7

from bench.baselines.monolith import models
from bench.load import cpu, memory
from bench.load.connection import Connection
from bench.load.requests import Requests, contact
from bench.target import CONTACTS, Target

NAME: Final = "FastAPI + ORM"
DATABASE: Final = "monolith"
WORKERS: Final = 2
"""Processes of its own, as many as Kith has on the path of a request."""
START_SECONDS: Final = 30.0
TOKEN_SECONDS: Final = 3600


@asynccontextmanager
async def running(admin_dsn: str, postmaster: int, port: int, log: Path) -> AsyncIterator[Target]:
    """Run the monolith for the length of a block."""
    tenant, user, key = uuid4(), uuid4(), ECKey.generate_key("P-256")
    url = await _create_database(admin_dsn)
    ids = await _seed(url, tenant, user)
    environment = {
        "MONOLITH_DATABASE_URL": url.render_as_string(hide_password=False),
        "MONOLITH_PUBLIC_KEY": json.dumps(key.as_dict(private=False)),
    }
    arguments = ["-m", "uvicorn", "bench.baselines.monolith.main:app", f"--port={port}", f"--workers={WORKERS}", "--no-access-log"]
    with log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            sys.executable, *arguments, "--loop=uvloop", "--http=httptools", env=environment, stdout=output, stderr=output
        )
    try:
        await _answers(port)
        yield Target(
            name=NAME,
            host="127.0.0.1",
            port=port,
            requests=Requests(f"127.0.0.1:{port}", _token(key, tenant, user), ids),
            meters={
                "edge": lambda: 0.0,
                "service": partial(cpu.tree, process.pid),
                "database": partial(cpu.postgres, postmaster, [DATABASE]),
                "other": lambda: 0.0,
                "generator": cpu.generator,
            },
            memory={"service": partial(memory.tree, process.pid)},
        )
    finally:
        process.terminate()
        await process.wait()


async def _create_database(admin_dsn: str) -> URL:
    """Make a fresh database and a role that owns it."""
    password = secrets.token_urlsafe(16)
    async with await psycopg.AsyncConnection.connect(admin_dsn, autocommit=True) as connection:
        await connection.execute(f"CREATE ROLE {DATABASE} LOGIN PASSWORD '{password}'")
        await connection.execute(f"CREATE DATABASE {DATABASE} OWNER {DATABASE}")
    address = conninfo_to_dict(admin_dsn)
    host, port = str(address["host"]), int(address["port"] or 0)
    # asyncpg takes a socket's folder as a query argument, since a URL's host cannot be a path.
    query = {"host": host} if host.startswith("/") else {}
    return URL.create("postgresql+asyncpg", DATABASE, password, None if query else host, port, DATABASE, query)


async def _seed(url: URL, tenant: UUID, user: UUID) -> list[str]:
    """Create the tables and fill them; return the ids of the contacts."""
    engine = create_async_engine(url)
    async with engine.begin() as connection:
        await connection.run_sync(models.Base.metadata.create_all)
    async with async_sessionmaker(engine).begin() as session:
        rows = [_row(tenant, user) for _ in range(CONTACTS)]
        session.add_all(rows)
        ids = [str(row.id) for row in rows]
    async with engine.begin() as connection:
        await connection.execute(text("ANALYZE"))
    await engine.dispose()
    return ids


def _row(tenant: UUID, user: UUID) -> models.Contact:
    body = contact()
    phones = body["phones"]
    assert isinstance(phones, list)
    return models.Contact(
        tenant_id=tenant,
        id=uuid7(),
        owner_id=user,
        given_name=body["givenName"],
        family_name=body["familyName"],
        display_name=f"{body['givenName']} {body['familyName']}",
        emails=body["emails"],
        phones=[phone | {"e164": phone["number"].replace(" ", "")} for phone in phones],
        title=body["title"],
        department=body["department"],
        source=body["source"],
        status="ACTIVE",
        address=body["address"],
        social_profiles=[],
        tags=body["tags"],
    )


def _token(key: ECKey, tenant: UUID, user: UUID) -> str:
    claims = {
        "iss": "bench",
        "aud": "kith",
        "sub": str(user),
        "tid": str(tenant),
        "exp": int(time.time()) + TOKEN_SECONDS,
        "permissions": ["contacts.read", "contacts.write"],
    }
    return jwt.encode({"alg": "ES256", "typ": "at+jwt"}, claims, key)


async def _answers(port: int) -> None:
    """Return once the server takes connections. Raises TimeoutError."""
    async with asyncio.timeout(START_SECONDS):
        while True:
            try:
                (await Connection.open("127.0.0.1", port)).close()
            except OSError:
                await asyncio.sleep(0.1)
            else:
                return
