"""Metrics, traces, logs and probes say what they promise, and nothing that they must not."""

import asyncio
import json
import re
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar

import httpx
import prometheus_client
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode
from structlog.testing import capture_logs

from chassis.telemetry import health as health_module
from chassis.telemetry import metrics, otlp, tracing
from chassis.telemetry.health import FAILURES, Health
from chassis.telemetry.probes import Probes
from tests.unit.chassis.moving import eventually
from tests.unit.chassis.servers import free_port

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.fixture
def spans() -> Iterator[InMemorySpanExporter]:
    exporter = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    tracing.start(provider, ratio=0.0)
    yield exporter
    tracing.stop()


def catalogue() -> list[prometheus_client.metrics.MetricWrapperBase]:
    return [each for each in vars(metrics).values() if isinstance(each, prometheus_client.metrics.MetricWrapperBase)]


def test_no_metric_has_a_tenant_label() -> None:
    labels = {label for metric in catalogue() for label in metric._labelnames}
    assert not [label for label in labels if re.search("tenant|user|email", label)]


def test_every_metric_is_explained_and_named_as_prometheus_wants_it() -> None:
    for metric in catalogue():
        assert metric._documentation.endswith(".")
        assert re.fullmatch(r"[a-z][a-z_]*", metric._name)
        if isinstance(metric, prometheus_client.Gauge):
            assert not metric._name.endswith(("_count", "_sum", "_total", "_bucket"))


def test_bound_series_are_made_once() -> None:
    assert metrics.rpc_server_call("a.B/C", "OK") is metrics.rpc_server_call("a.B/C", "OK")
    assert metrics.rpc_server_call("a.B/C", "OK")._labelvalues == ("grpc", "a.B/C", "OK", "")
    assert metrics.rpc_server_call("a.B/C", "INTERNAL")._labelvalues == ("grpc", "a.B/C", "INTERNAL", "INTERNAL")


def test_a_sampled_parent_is_continued(spans: InMemorySpanExporter) -> None:
    with tracing.serve("a.B/C", PARENT) as outer, tracing.call("d.E/F") as inner:
        assert inner.trace_id == outer.trace_id == "0af7651916cd43dd8448eb211c80319c"
        assert tracing.traceparent() == f"00-{inner.trace_id}-{inner.span_id}-01"
        assert outer.exemplar == {"trace_id": outer.trace_id, "span_id": outer.span_id}
    client, server = spans.get_finished_spans()
    assert (client.name, client.kind, server.name, server.kind) == ("d.E/F", SpanKind.CLIENT, "a.B/C", SpanKind.SERVER)
    assert client.parent is not None
    assert client.parent.span_id == server.context.span_id
    assert server.parent is not None
    assert server.parent.is_remote


def test_an_unsampled_parent_records_nothing_and_is_passed_on(spans: InMemorySpanExporter) -> None:
    header = PARENT[:-1] + "0"
    with tracing.serve("a.B/C", header) as span, tracing.call("d.E/F"):
        assert tracing.traceparent() == header
        assert span.exemplar is None
    assert not spans.get_finished_spans()


def test_a_sampled_parent_is_passed_on_where_traces_are_off() -> None:
    with tracing.serve("a.B/C", PARENT):
        assert tracing.traceparent() == PARENT


@pytest.mark.parametrize(
    "header",
    [
        "",
        "00",
        PARENT[:-3],
        PARENT.upper(),
        "ff" + PARENT[2:],
        "00-" + "0" * 32 + PARENT[35:],
        PARENT[:36] + "0" * 16 + "-01",
        PARENT + "x",
    ],
)
def test_a_header_that_is_none_begins_a_trace(spans: InMemorySpanExporter, header: str) -> None:
    with tracing.serve("a.B/C", header) as span:
        assert re.fullmatch(r"00-[0-9a-f]{32}-[0-9a-f]{16}-00", span.traceparent)
        assert span.trace_id != PARENT[3:35]


def test_a_later_version_of_the_header_is_read(spans: InMemorySpanExporter) -> None:
    assert tracing.serve("a.B/C", "01" + PARENT[2:] + "-more").trace_id == PARENT[3:35]


def test_the_ratio_samples_traces_that_begin_here() -> None:
    exporter = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    tracing.start(provider, ratio=1.0)
    with tracing.serve("a.B/C", "") as span:
        assert span.sampled
    tracing.stop()
    assert [each.parent for each in exporter.get_finished_spans()] == [None]


def test_an_error_leaves_its_type_and_not_its_text(spans: InMemorySpanExporter) -> None:
    with pytest.raises(ValueError, match="ada"), tracing.serve("a.B/C", PARENT):
        raise ValueError("ada@example.com")
    (span,) = spans.get_finished_spans()
    assert span.status.status_code is StatusCode.ERROR
    assert span.attributes == {"error.type": "ValueError"}
    assert "ada" not in span.to_json()


def test_outside_of_any_work_there_is_no_header() -> None:
    assert tracing.traceparent() == ""
    assert tracing.step("x").trace_id == ""


LOGGING = """
import logging, structlog
from chassis import context
from chassis.context import Caller, CallerKind, Request
from chassis.telemetry import logs, tracing
from kith.identity.v1 import auth_pb2
logs.start(service="crm", version="1", level="INFO")
log = structlog.get_logger()
log.debug("hidden")
log.info("plain", email="ada@example.com", request=auth_pb2.SignInRequest(password="hunter2"), inner={"token": "abc", "size": 3})
context.enter(Request(request_id="r1", caller=Caller(kind=CallerKind.USER, tenant_id="t1", user_id="u1")))
with tracing.serve("a.B/C", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"):
    try:
        raise ValueError("ada@example.com")
    except ValueError:
        log.exception("broken", code="INTERNAL", duration_ms=1.5)
logging.getLogger("some.library").warning("address %s of %s", "10.0.0.1", "ada@example.com")
logging.getLogger("some.library").info("hidden")
import stamina
@stamina.retry(on=ValueError, attempts=2, wait_initial=0, wait_jitter=0)
def fail_with(text):
    raise ValueError(text)
try:
    fail_with("ada@example.com")
except ValueError:
    pass
"""


def test_logs_are_json_lines_without_values() -> None:
    done = subprocess.run([sys.executable, "-c", LOGGING], capture_output=True, text=True, check=True)
    assert "ada" not in done.stdout
    assert "hunter2" not in done.stdout
    assert done.stderr == ""
    plain, broken, library, retried = [json.loads(line) for line in done.stdout.splitlines()]
    assert plain["event"] == "plain"
    assert plain["email"] == "***"
    assert plain["request"] == "kith.identity.v1.SignInRequest"
    assert plain["inner"] == {"token": "***", "size": 3}
    assert {"time", "level", "service", "version"} <= plain.keys()
    assert broken["error_type"] == "ValueError"
    assert broken["stack"]
    assert broken["trace_id"] == "0af7651916cd43dd8448eb211c80319c"
    assert (broken["request_id"], broken["tenant_id"], broken["principal_id"]) == ("r1", "t1", "u1")
    assert library["logger"] == "some.library"
    assert library["template"] == "address %s of %s"
    assert (retried["event"], retried["callable"], retried["error_type"]) == ("retried", "__main__.fail_with", "ValueError")


class Dependency:
    broken = False

    async def __call__(self) -> None:
        if self.broken:
            raise ConnectionError("10.0.0.1 refused")


async def test_one_failure_takes_no_process_out() -> None:
    dependency = Dependency()
    health = Health({"postgresql": dependency})
    health.started = True
    assert not health.ready
    await health.check()
    assert health.ready
    dependency.broken = True
    for _ in range(FAILURES - 1):
        await health.check()
        assert health.ready
    await health.check()
    assert not health.ready
    dependency.broken = False
    await health.check()
    assert health.ready
    health.draining = True
    assert not health.ready


async def test_what_goes_down_is_told_once_and_so_is_its_return() -> None:
    dependency = Dependency()
    health = Health({"postgresql": dependency, "nats": Dependency()})
    health.started = True
    with capture_logs() as logs:
        for dependency.broken in (False, True, False):
            for _ in range(FAILURES + 1):
                await health.check()
    told = [(line["log_level"], line["ready"], line["down"]) for line in logs if line["event"] == "readiness_changed"]
    assert told == [("info", True, {}), ("warning", False, {"postgresql": "ConnectionError"}), ("info", True, {})]


async def test_a_check_that_hangs_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health_module, "TIMEOUT", 0.01)
    health = Health({"nats": lambda: asyncio.sleep(60)})
    await health.check()
    assert health.dependencies["nats"].error_type == "TimeoutError"


@pytest.fixture
async def health() -> AsyncIterator[Health]:
    async with watching(hung=600) as watched:
        yield watched


@asynccontextmanager
async def watching(*, hung: float) -> AsyncIterator[Health]:
    """Watch over one dependency; a loop counts as hung after so many seconds."""
    watched = Health({"postgresql": Dependency()}, hung=hung, interval=0.05)
    task = asyncio.create_task(watched.watch())
    watched.started = True
    await eventually(lambda: watched.ready)
    yield watched
    task.cancel()


@contextmanager
def served(health: Health) -> Iterator[Probes]:
    probes = Probes(health, host="127.0.0.1", port=0)
    probes.start()
    yield probes
    probes.stop()


@pytest.fixture
def probes(health: Health) -> Iterator[Probes]:
    with served(health) as found:
        yield found


async def get(probes: Probes, path: str, **headers: str) -> httpx.Response:
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{probes.port}", timeout=60) as client:
        return await client.get(path, headers=headers)


async def test_probes_tell_the_state(probes: Probes, health: Health) -> None:
    assert (await get(probes, "/livez")).status_code == 200
    ready = await get(probes, "/readyz")
    assert ready.status_code == 200
    assert ready.json()["dependencies"] == {"postgresql": {"up": True, "error_type": ""}}
    health.draining = True
    assert (await get(probes, "/readyz")).status_code == 503
    assert (await get(probes, "/healthz")).status_code == 503
    assert (await get(probes, "/livez")).status_code == 200
    assert (await get(probes, "/else")).status_code == 404


async def test_metrics_carry_the_trace_in_openmetrics(probes: Probes) -> None:
    metrics.rpc_server_call("a.B/Exemplar", "OK").observe(0.2, {"trace_id": "abc"})
    answer = await get(probes, "/metrics", accept="application/openmetrics-text; version=1.0.0")
    assert answer.headers["content-type"].startswith("application/openmetrics-text")
    assert 'trace_id="abc"' in answer.text
    plain = await get(probes, "/metrics")
    assert plain.headers["content-type"].startswith("text/plain")
    assert "kith_event_loop_lag_seconds" in plain.text
    assert "_created" not in plain.text


async def test_probes_answer_while_the_event_loop_hangs() -> None:
    seen: list[int] = []
    hanging = threading.Event()
    async with watching(hung=0.6) as health:
        with served(health) as probes:

            def ask() -> None:
                hanging.wait(0.8)
                url = f"http://127.0.0.1:{probes.port}"
                seen.extend(httpx.get(f"{url}{path}", timeout=60).status_code for path in ("/livez", "/readyz", "/metrics"))
                hanging.set()

            asking = threading.Thread(target=ask)
            asking.start()
            hanging.wait()  # the whole loop stands still here
            asking.join()
    assert seen == [503, 503, 200]


async def test_every_late_heartbeat_of_the_loop_is_counted() -> None:
    before = late_heartbeats()
    async with watching(hung=600):
        threading.Event().wait(0.55)  # the whole loop stands still here, while a heartbeat of 0.25 s is due
        await eventually(lambda: late_heartbeats() > before)


def late_heartbeats() -> float:
    """Return how many came more than a quarter of a second late."""
    most = [prometheus_client.REGISTRY.get_sample_value("kith_event_loop_lag_seconds_bucket", {"le": le}) for le in ("+Inf", "0.25")]
    return (most[0] or 0) - (most[1] or 0)


async def test_stopped_probes_free_their_port(health: Health) -> None:
    first = Probes(health, host="127.0.0.1", port=free_port())
    first.start()
    first.stop()
    second = Probes(health, host="127.0.0.1", port=first.port)
    second.start()
    second.stop()


def test_traces_bring_no_library_that_they_do_not_use() -> None:
    code = "import sys, chassis.telemetry.otlp; sys.exit(bool({'psutil', 'requests', 'urllib3'} & {*sys.modules}))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_tracing_imports_no_sdk() -> None:
    code = "import sys, chassis.telemetry.tracing; sys.exit('opentelemetry.sdk' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


class Sink(BaseHTTPRequestHandler):
    """A collector for traces, which closes each connection after one answer and says nothing of it."""

    protocol_version = "HTTP/1.1"
    received: ClassVar[list[tuple[str, str | None, bytes]]] = []

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.received.append((self.path, self.headers["x-team"], body))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()
        self.close_connection = True

    def log_message(self, *_: object) -> None:
        """Stay silent."""


@pytest.fixture
def sink() -> Iterator[str]:
    """Take traces; the address is where."""
    Sink.received.clear()
    with ThreadingHTTPServer(("127.0.0.1", 0), Sink) as server:
        threading.Thread(target=server.serve_forever).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def traces_to(endpoint: str) -> None:
    tracing.start(otlp.provider(service="crm", version="1", environment="test", instance="crm-1", endpoint=endpoint), ratio=0)


def test_sampled_spans_reach_a_collector(sink: str) -> None:
    traces_to(sink)
    with tracing.serve("a.B/C", PARENT), tracing.step("find"):
        pass
    tracing.stop()
    ((path, _, body),) = Sink.received
    assert path == "/v1/traces"
    (resource,) = ExportTraceServiceRequest.FromString(body).resource_spans
    assert {each.key: each.value.string_value for each in resource.resource.attributes}["service.name"] == "crm"
    assert [(span.name, span.trace_id.hex()) for span in resource.scope_spans[0].spans] == [("find", PARENT[3:35]), ("a.B/C", PARENT[3:35])]


def test_a_collector_may_stand_behind_a_path_and_want_headers(sink: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "x-team=a%20b")
    traces_to(f"{sink}/otlp/")
    with tracing.serve("a.B/C", PARENT):
        pass
    tracing.stop()
    ((path, team, _),) = Sink.received
    assert (path, team) == ("/otlp/v1/traces", "a b")


def test_a_connection_that_the_collector_closed_is_opened_again(sink: str) -> None:
    exporter = otlp.Exporter(sink)
    assert [exporter.export([]) for _ in range(2)] == [SpanExportResult.SUCCESS] * 2
    assert len(Sink.received) == 2
    exporter.shutdown()


@pytest.mark.parametrize("refused", ["http://127.0.0.1:1", "https://127.0.0.1:1"])
def test_what_no_collector_takes_is_dropped(refused: str) -> None:
    assert otlp.Exporter(refused).export([]) is SpanExportResult.FAILURE


class Slow(BaseHTTPRequestHandler):
    """A collector that takes each batch and says so without an end: nothing at all, or byte after byte."""

    received: ClassVar[list[int]] = []
    pieces: ClassVar[bytes] = b""
    released: ClassVar[threading.Event] = threading.Event()

    def do_POST(self) -> None:
        self.received.append(len(self.rfile.read(int(self.headers["Content-Length"]))))
        while not self.released.wait(0.02):
            try:
                self.wfile.write(self.pieces)
            except OSError:
                return

    def log_message(self, *_: object) -> None:
        """Stay silent."""


@pytest.fixture
def slow() -> Iterator[str]:
    """Take traces and never answer; the address is where."""
    Slow.received.clear()
    Slow.released.clear()
    with ThreadingHTTPServer(("127.0.0.1", 0), Slow) as server:
        threading.Thread(target=server.serve_forever).start()
        yield f"http://127.0.0.1:{server.server_port}"
        Slow.released.set()
        server.shutdown()


@pytest.mark.parametrize("pieces", [b"", b"x"])
def test_a_batch_has_one_time_and_is_sent_once(slow: str, pieces: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(otlp, "SECONDS", 1.0)
    monkeypatch.setattr(Slow, "pieces", pieces)
    assert otlp.Exporter(slow).export([]) is SpanExportResult.FAILURE
    assert len(Slow.received) <= 1


def test_a_kept_connection_that_is_too_slow_is_not_tried_again(slow: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(otlp, "SECONDS", 1.0)
    exporter = otlp.Exporter(slow)
    exporter._connection.connect()
    assert exporter.export([]) is SpanExportResult.FAILURE
    assert len(Slow.received) <= 1


def test_the_stop_does_not_wait_for_a_collector_that_hangs(slow: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(otlp, "SECONDS", 600.0)
    monkeypatch.setattr(otlp, "STOP_SECONDS", 1.0)
    monkeypatch.setenv("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "1")
    before = {*threading.enumerate()}
    traces_to(slow)
    with tracing.serve("a.B/C", PARENT), tracing.step("find"):
        pass
    tracing.stop()
    for thread in {*threading.enumerate()} - before:
        if thread.name.startswith("OtelBatch"):
            thread.join(20)
            assert not thread.is_alive()
    assert len(Slow.received) <= 1
