"""Spans reach a collector once, in time, and are dropped where none takes them."""

import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace.export import SpanExportResult

from chassis.telemetry import otlp, tracing

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


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
