"""Starts the whole platform as `kith up` does, in a folder of its own on free ports, with one organisation and its contacts."""

import asyncio
import os
import secrets
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Final

import httpx
import psycopg
from psycopg.conninfo import make_conninfo

from bench import collector
from bench.load import cpu, memory
from bench.load.loops import Generator
from bench.load.requests import Requests
from bench.target import CONTACTS, Target
from chassis import names
from stack.launch import Platform, running
from stack.settings import Settings
from stack.topology import EDGE, NATS, POSTGRES, SERVICES, default_ports

NAME: Final = "Kith"
ON_THE_PATH: Final = "crm"
"""The service that answers for contacts."""
PAGE: Final = 200
SEED_CLIENTS: Final = 8
SEED_TRIES: Final = 5

RATE_SCALE: Final = "100000"
"""Limits are counted and never met: the bench is one user."""


@asynccontextmanager
async def started(data: Path, **environment: str) -> AsyncIterator[Platform]:
    """Run the platform for the length of a block, with everything on; `environment` is said to its processes beside what ours are."""
    async with collector.running() as endpoint:
        said = {"KITH_RATE_SCALE": RATE_SCALE, "KITH_LOG_LEVEL": "WARNING", "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint, **environment}
        with _environment(**said):
            settings = Settings(data=data, ports=dict.fromkeys(default_ports(), 0), canary=False)
            async with running(settings, lambda _: None) as platform:
                yield platform


async def target(platform: Platform) -> Target:
    """Register an organisation, give it its contacts, and return what there is to measure."""
    host, _, port = platform.wiring.address(EDGE.name).partition(":")
    async with httpx.AsyncClient(base_url=f"http://{host}:{port}", timeout=30) as client:
        token = await register(client)
        empty = Requests(f"{host}:{port}", token, [])
        await _seed(host, int(port), empty)
        ids = await _ids(client, token)
    await _analyze(platform)
    return Target(
        name=NAME,
        host=host,
        port=int(port),
        requests=Requests(empty.host, token, ids),
        meters=meters(platform),
        memory=_memory(platform),
    )


async def _analyze(platform: Platform) -> None:
    """Let PostgreSQL know what is there, as autovacuum does within a minute: a plan of empty tables goes through all rows of a tenant."""
    dsn = make_conninfo(platform.wiring.admin_dsn(), dbname=names.database(ON_THE_PATH))
    async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as connection:
        await connection.execute("ANALYZE")


def postmaster(platform: Platform) -> int:
    """Return the process id of the embedded PostgreSQL."""
    return _pid(platform, POSTGRES)


def service(platform: Platform) -> int:
    """Return the process id of the service that answers for contacts."""
    return _pid(platform, ON_THE_PATH)


def edge(platform: Platform) -> int:
    """Return the process id of the edge."""
    return _pid(platform, EDGE.name)


def on_the_path(platform: Platform) -> list[int]:
    """Return the process ids of all edges and of all that answer for contacts."""
    return [*_copies(platform, EDGE.name), *_copies(platform, ON_THE_PATH)]


def meters(platform: Platform) -> dict[str, cpu.Meter]:
    """Return what reads the CPU time of the platform's processes by their part in a request."""
    others = [_pid(platform, name) for name in (NATS, *(service.name for service in SERVICES)) if name != ON_THE_PATH]
    edges, services = _copies(platform, EDGE.name), _copies(platform, ON_THE_PATH)
    databases = [names.database(service.name) for service in SERVICES]
    return {
        "edge": lambda: sum(map(cpu.tree, edges)),
        "service": lambda: sum(map(cpu.tree, services)),
        "database": partial(cpu.postgres, postmaster(platform), databases),
        "other": lambda: sum(cpu.tree(pid) for pid in others),
        "generator": cpu.generator,
    }


def _memory(platform: Platform) -> dict[str, cpu.Meter]:
    read = {name: partial(memory.tree, _pid(platform, name)) for name in (EDGE.name, *(service.name for service in SERVICES), NATS)}
    others = [meter for name, meter in read.items() if name not in (EDGE.name, ON_THE_PATH)]
    return {
        "edge": read[EDGE.name],
        "service": read[ON_THE_PATH],
        "database": partial(memory.tree, postmaster(platform)),
        "other": lambda: sum(each() for each in others),
    }


def _copies(platform: Platform, name: str) -> list[int]:
    """Return the process ids of all that do the same work."""
    return [_pid(platform, each) for each in platform.state.processes if each == name or each.startswith(f"{name}-")]


def _pid(platform: Platform, name: str) -> int:
    found = platform.state.processes[name].id
    assert found is not None, f"{name} does not run"
    return found.pid


async def register(client: httpx.AsyncClient) -> str:
    """Register an organisation; return its owner's token."""
    body = {
        "organisation": "Bench",
        "email": f"{secrets.token_hex(8)}@example.com",
        "password": secrets.token_urlsafe(24),
        "name": "Bench Owner",
        "locale": "en-GB",
    }
    answer = await client.post("/v1/auth:register", json=body)
    answer.raise_for_status()
    return str(answer.json()["accessToken"])


async def _seed(host: str, port: int, requests: Requests) -> None:
    generator = Generator(host, port)
    stream = requests.stream("post")
    missing, failures = CONTACTS, Counter[int]()
    for _ in range(SEED_TRIES):
        outcome = await generator.closed_loop(islice(stream, missing), clients=SEED_CLIENTS, seconds=float("inf"))
        failures += outcome.failures
        missing -= outcome.answered
        if not missing:
            break
        await asyncio.sleep(1)  # as who is refused for a moment is asked to
    generator.close()
    if missing:
        raise RuntimeError(f"contacts were refused: {dict(failures)}")


async def _ids(client: httpx.AsyncClient, token: str) -> list[str]:
    found: list[str] = []
    page_token = ""
    while not found or page_token:
        parameters = {"pageSize": str(PAGE), "pageToken": page_token}
        answer = await client.get("/v1/contacts", params=parameters, headers={"authorization": f"Bearer {token}"})
        answer.raise_for_status()
        page = answer.json()
        found += [contact["id"] for contact in page["contacts"]]
        page_token = page.get("nextPageToken", "")
    return found


@contextmanager
def _environment(**added: str) -> Iterator[None]:
    """Let child processes inherit these variables."""
    before = dict(os.environ)
    os.environ.update(added)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
