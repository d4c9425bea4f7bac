"""The client as services have it: by the operator's settings, in the time of a call, seen by metrics and traces."""

import asyncio
from collections.abc import Iterator
from ipaddress import ip_network

import prometheus_client
import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from chassis.context import Request, enter
from chassis.egress import Egress, EgressSettings, Use
from chassis.environment import SettingsError, read
from chassis.errors import DeadlineExceeded, FailedPrecondition, InvalidArgument, Reason, Refusal
from chassis.telemetry import tracing
from tests.unit.chassis.egress.internet import (
    ANOTHER,
    ANY,
    PATIENCE,
    PUBLIC,
    Authority,
    Internet,
    answering,
    listening,
    ok,
    repeating,
    stopped,
)
from tests.unit.chassis.loops import on_uvloop

URL = "https://hooks.example.com/secret/path?token=secret"
SILENT = repeating(b"", b"", pause=0.05)


async def test_the_operator_decides(authority: Authority) -> None:
    said = {
        "KITH_EGRESS_ALLOW": "127.0.0.0/8, fd00:1::/32",
        "KITH_EGRESS_DENY": f"{PUBLIC}/32,2606:4700::/32,",
        "KITH_EGRESS_AUTHORITIES_FILE": str(authority.file),
    }
    settings = read(EgressSettings, said)
    assert settings.egress_allow == (ip_network("127.0.0.0/8"), ip_network("fd00:1::/32"))
    async with listening(answering(ok(b"inside")), tls=authority.server("127.0.0.1")) as port:
        use = Use(name="inside", ports=frozenset({443, port}), **PATIENCE)
        assert (await Egress.of(settings).fetch(f"https://127.0.0.1:{port}/", use=use, field="url")).content == b"inside"
        assert await stopped(Egress.of(settings), f"https://{PUBLIC}/", use) == "address"
        assert await stopped(Egress.of(EgressSettings()), f"https://127.0.0.1:{port}/", use) == "address"


@pytest.mark.parametrize("wrong", ["10.0.0.1/8", "10.0.0.0/33", "everything", "localhost", '["10.0.0.0/8"]', "10.0.0.0/8 fd00::/8"])
def test_networks_of_the_operator_are_checked_at_the_start(wrong: str) -> None:
    with pytest.raises(SettingsError, match=r"^KITH_EGRESS_ALLOW: must be networks such as"):
        read(EgressSettings, {"KITH_EGRESS_ALLOW": wrong})


def test_a_use_has_narrow_bounds_unless_it_says_otherwise() -> None:
    use = Use(name="any")
    assert (use.schemes, use.ports) == ({"https"}, {80, 443})
    assert (use.seconds, use.connect_seconds, use.silence_seconds, use.size) == (10, 5, 10, 5 * 2**20)


async def test_it_works_on_the_loop_of_services(internet: Internet, authority: Authority) -> None:
    async def fetches() -> None:
        egress = internet.egress()
        assert (await egress.fetch(URL, use=ANY, field="url")).content == b"hello"
        assert await stopped(egress, "https://slow.example.com/", Use(name="hasty", seconds=0.5)) == "time"

    tls = authority.server("hooks.example.com", "slow.example.com")
    slow = internet.server(SILENT, name="slow.example.com", address=ANOTHER, tls=tls)
    async with internet.server(answering(ok(b"hello")), tls=tls), slow:
        await on_uvloop(fetches)


async def test_a_call_does_not_wait_longer_than_its_caller(internet: Internet) -> None:
    async def calling() -> None:
        enter(Request(request_id="1", deadline=asyncio.get_running_loop().time() + 0.5))
        async with asyncio.timeout(20):
            await internet.egress().fetch("http://hooks.example.com/", use=ANY, field="endpoint.url")

    async with internet.server(SILENT):
        with pytest.raises(DeadlineExceeded) as ended:
            await asyncio.create_task(calling())
    assert ended.value.reason == Reason.DEADLINE_EXCEEDED


async def test_a_use_has_its_own_time_within_a_longer_call(internet: Internet) -> None:
    async def calling() -> str:
        enter(Request(request_id="1", deadline=asyncio.get_running_loop().time() + 600))
        return await stopped(internet.egress(), "http://hooks.example.com/", Use(name="hasty", schemes=frozenset({"http"}), seconds=0.3))

    async with internet.server(SILENT):
        assert await asyncio.create_task(calling()) == "time"


async def test_a_timeout_of_the_reader_stays_the_readers(internet: Internet) -> None:
    async with internet.server(answering(ok(b"hello"))):
        with pytest.raises(TimeoutError):
            async with internet.egress().stream("http://hooks.example.com/", use=ANY, field="url"):
                raise TimeoutError


async def test_who_gives_up_a_request_leaves_no_connection(internet: Internet) -> None:
    connected, left = asyncio.Event(), asyncio.Event()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        connected.set()
        await reader.read()
        left.set()

    async with internet.server(handle), asyncio.timeout(20):
        request = asyncio.create_task(internet.egress().fetch("http://hooks.example.com/", use=ANY, field="url"))
        await connected.wait()
        request.cancel()
        await left.wait()
        with pytest.raises(asyncio.CancelledError):
            await request


@pytest.mark.parametrize(
    ("url", "kind", "reason"),
    [
        ("ftp://hooks.example.com/", InvalidArgument, Reason.EGRESS_REFUSED),
        ("https://127.0.0.1/", InvalidArgument, Reason.EGRESS_REFUSED),
        ("https://nothing.example.com/", InvalidArgument, Reason.EGRESS_REFUSED),
        (f"https://{ANOTHER}/", FailedPrecondition, Reason.EGRESS_FAILED),
    ],
)
async def test_a_refusal_names_the_field(internet: Internet, url: str, kind: type[Refusal], reason: Reason) -> None:
    with pytest.raises(kind) as ended:
        await internet.egress().fetch(url, use=ANY, field="endpoint.url")
    assert ended.value.reason is reason
    assert [(each.field, each.reason) for each in ended.value.fields] == [("endpoint.url", reason)]
    assert ended.value.message == f"endpoint.url: {ended.value.fields[0].description}"


@pytest.fixture
def spans() -> Iterator[InMemorySpanExporter]:
    seen = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(seen))
    tracing.start(provider, ratio=1)
    yield seen
    tracing.stop()


def counted(use: str) -> dict[str, float]:
    """Return how often requests of a use ended in which way."""
    name = "kith_egress_duration_seconds_count"
    samples = [sample for metric in prometheus_client.REGISTRY.collect() for sample in metric.samples if sample.name == name]
    return {sample.labels["outcome"]: sample.value for sample in samples if sample.labels["use"] == use}


async def test_how_requests_end_is_counted_and_nobody_reads_where_they_went(internet: Internet, spans: InMemorySpanExporter) -> None:
    use = Use(name="seen", schemes=frozenset({"http"}), **PATIENCE)
    with tracing.serve("call", ""):
        async with internet.server(answering(b"HTTP/1.1 299 Odd\r\ncontent-length: 0\r\n\r\n")):
            await internet.egress().fetch("http://hooks.example.com/secret?token=secret", use=use, field="url")
        for url in ("http://127.0.0.1/secret", "http://nothing.example.com/", "https://hooks.example.com/", "http://hooks.example.com/"):
            internet.wires.ports.clear()
            await stopped(internet.egress(), url, use)
    assert counted("seen") == {"2xx": 1, "address": 1, "name": 1, "scheme": 1, "connection": 1}
    ended = [span for span in spans.get_finished_spans() if span.name == "egress seen"]
    assert [dict(span.attributes or {})["kith.egress.outcome"] for span in ended] == ["2xx", "address", "name", "scheme", "connection"]
    told = " ".join(span.to_json() for span in ended)
    assert not any(each in told for each in ("secret", "example.com", "127.0.0.1"))
