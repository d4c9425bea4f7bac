"""Traces continue where they came from, and carry no text of an error."""

import re
from collections.abc import Iterator

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from chassis.telemetry import tracing

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.fixture
def spans() -> Iterator[InMemorySpanExporter]:
    exporter = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    tracing.start(provider, ratio=0.0)
    yield exporter
    tracing.stop()


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
    with pytest.raises(ValueError, match="zoe"), tracing.serve("a.B/C", PARENT):
        raise ValueError("zoe@example.com")
    (span,) = spans.get_finished_spans()
    assert span.status.status_code is StatusCode.ERROR
    assert span.attributes == {"error.type": "ValueError"}
    assert "zoe" not in span.to_json()


def test_outside_of_any_work_there_is_no_header() -> None:
    assert tracing.traceparent() == ""
    assert tracing.step("x").trace_id == ""
