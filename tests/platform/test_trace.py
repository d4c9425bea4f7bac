"""One trace from the client's own span through edge and service to SQL and the event, as a collector gets it."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import psycopg

from stack import ports
from stack.topology import EDGE, SERVICES, Service, admin
from stack.wiring import Wiring
from tests.conftest import AdminDsn
from tests.platform.collector import Collector, Spans
from tests.platform.signed_in import SignedIn

CRM = next(service for service in SERVICES if service.name == "crm")
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
CLIENT_SPAN = "00f067aa0ba902b7"
PLANTED = "Unmistakable"
START_SECONDS = 240


@asynccontextmanager
async def running(wiring: Wiring, service: Service, folder: Path, **environment: str) -> AsyncIterator[None]:
    """Run one more process of a service beside the session's platform; its end sends the last spans."""
    with (folder / f"{service.name}.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", service.module, env={**wiring.environment(service), **environment}, stdout=log, stderr=log
        )
    try:
        async with httpx.AsyncClient() as client, asyncio.timeout(START_SECONDS):
            while not await _is_ready(client, wiring.address(admin(service.name))):  # noqa: ASYNC110 - it cannot set an event of ours
                await asyncio.sleep(0.1)
        yield
    finally:
        process.terminate()
        await process.wait()


async def _is_ready(client: httpx.AsyncClient, address: str) -> bool:
    try:
        return (await client.get(f"http://{address}/readyz")).status_code == 200
    except httpx.TransportError:
        return False


@asynccontextmanager
async def traced_edge(platform: Wiring, collector: Collector, folder: Path) -> AsyncIterator[httpx.AsyncClient]:
    """A second edge and a second crm that send every sampled span to the collector."""
    moved, _ = ports.settle("127.0.0.1", {name: 0 for each in (EDGE, CRM) for name in (each.name, admin(each.name))})
    wiring = replace(platform, ports={**platform.ports, **moved})
    seen = {"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{collector.server_port}", "KITH_TRACE_RATIO": "0"}
    same_issuer = {"KITH_PUBLIC_URL": platform.public_url}
    async with (
        running(wiring, CRM, folder, **seen, **same_issuer),
        running(wiring, EDGE, folder, **seen, **same_issuer, KITH_RATE_SCALE="1000"),
        httpx.AsyncClient(base_url=f"http://{wiring.address(EDGE.name)}", timeout=START_SECONDS) as client,
    ):
        yield client


async def test_a_trace_leads_from_the_edge_to_sql_and_to_the_event(
    platform: Wiring, owner: SignedIn, collector: Collector, admin_dsn: AdminDsn, tmp_path: Path
) -> None:
    headers = {**owner.person.headers, "traceparent": f"00-{TRACE}-{CLIENT_SPAN}-01"}
    async with traced_edge(platform, collector, tmp_path) as edge:
        made = await edge.post("/v1/contacts", json={"givenName": PLANTED}, headers=headers)
        unsampled = await edge.get("/v1/me", headers=owner.person.headers)
    assert made.status_code == 200
    assert made.headers["x-trace-id"] == TRACE

    spans = collector.spans(TRACE)
    names = [(service, name) for service, name, _, _ in chain(spans, "INSERT")]
    assert names[0][0] == names[1][0] == "crm"
    assert names[1:] == [
        ("crm", "kith.crm.v1.ContactService/CreateContact"),
        ("edge", "kith.crm.v1.ContactService/CreateContact"),
        ("edge", "POST /v1/contacts"),
    ]
    assert collector.spans(unsampled.headers["x-trace-id"]) == {}
    assert not any(PLANTED.encode() in body for body in collector.taken)
    assert (await outbox_header(admin_dsn("crm"), made.json()["id"]))["traceparent"].split("-")[1] == TRACE


def chain(spans: Spans, verb: str) -> list[tuple[str, str, str, dict[str, str]]]:
    """Return the spans from a statement up to the client's own."""
    here = next(key for key, (_, name, _, attributes) in spans.items() if name == verb and "contacts" in attributes["db.query.text"])
    found = []
    while here != CLIENT_SPAN:
        found.append(spans[here])
        here = spans[here][2]
    return found


async def outbox_header(dsn: str, key: str) -> dict[str, Any]:
    async with await psycopg.AsyncConnection.connect(dsn) as connection:
        row = await (await connection.execute("SELECT headers FROM outbox WHERE key = %s", [key])).fetchone()
    assert row is not None
    headers: dict[str, Any] = row[0] if isinstance(row[0], dict) else json.loads(row[0])
    return headers
