"""Where spans are sent: an OTLP collector over HTTP. Imported only when there is one, since it costs 4 MB."""

import os
import ssl
from collections.abc import Sequence
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import Final
from urllib.parse import urlsplit

import structlog
from opentelemetry.util.re import parse_env_headers

from chassis.loading import absent

with absent("psutil"):  # 1 MiB, for a detector of processes that nobody asks for
    from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
    from opentelemetry.sdk.trace.sampling import ALWAYS_ON

SECONDS: Final = 10  # that the collector may take for a batch: OTEL_EXPORTER_OTLP_TIMEOUT's default
TRIES: Final = 2  # the first may meet a connection that the collector has closed meanwhile

log = structlog.get_logger()


def provider(*, service: str, version: str, environment: str, instance: str, endpoint: str) -> TracerProvider:
    """Return a provider that sends spans in batches to the collector at `endpoint`, which is what OTEL_EXPORTER_OTLP_ENDPOINT says.

    It samples whatever it is given: `tracing` draws before it makes a span.
    """
    resource = Resource.create(
        {
            "service.name": service,
            "service.namespace": "kith",
            "service.version": version,
            "service.instance.id": instance,
            "deployment.environment.name": environment,
        }
    )
    made = TracerProvider(resource=resource, sampler=ALWAYS_ON, shutdown_on_exit=False)
    made.add_span_processor(BatchSpanProcessor(Exporter(endpoint)))
    return made


class Exporter(SpanExporter):
    """Sends one batch after the other, on one connection. What the collector does not take is dropped: traces are samples.

    The SDK's own brings `requests` and what that stands on: 5 MB and 40 ms of every process for one kind of request.
    """

    def __init__(self, endpoint: str) -> None:
        self._connection = _connection(endpoint)
        self._path = f"{urlsplit(endpoint).path.rstrip('/')}/v1/traces"
        given = parse_env_headers(os.environ.get("OTEL_EXPORTER_OTLP_HEADERS", ""), liberal=True)
        self._headers = {"content-type": "application/x-protobuf", **given}

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Send a batch; only the one thread of its processor comes here."""
        body = encode_spans(spans).SerializeToString()
        for left in reversed(range(TRIES)):
            try:
                status = self._send(body)
            except (OSError, HTTPException) as error:
                self._connection.close()
                if not left:
                    log.warning("traces_dropped", spans=len(spans), error_type=type(error).__name__)
            else:
                if status < HTTPStatus.MULTIPLE_CHOICES:
                    return SpanExportResult.SUCCESS
                log.warning("traces_dropped", spans=len(spans), status=status)
                break
        return SpanExportResult.FAILURE

    def _send(self, body: bytes) -> int:
        self._connection.request("POST", self._path, body, self._headers)
        answer = self._connection.getresponse()
        answer.read()  # the next request needs the connection
        return answer.status

    def shutdown(self) -> None:
        """Close the connection; the processor has sent what was left."""
        self._connection.close()


def _connection(endpoint: str) -> HTTPConnection:
    """Return what connects when it is first used; OTEL_EXPORTER_OTLP_CERTIFICATE names who is trusted beside the system's authorities."""
    url = urlsplit(endpoint)
    if url.scheme != "https":
        return HTTPConnection(url.hostname or "", url.port, timeout=SECONDS)
    context = ssl.create_default_context()
    if trusted := os.environ.get("OTEL_EXPORTER_OTLP_CERTIFICATE"):
        context.load_verify_locations(trusted)
    return HTTPSConnection(url.hostname or "", url.port, timeout=SECONDS, context=context)
