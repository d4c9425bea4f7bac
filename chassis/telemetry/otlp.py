"""Where spans are sent: an OTLP collector over HTTP. Imported only when there is one, since it costs 4 MB."""

import contextlib
import os
import socket
import ssl
import threading
import time
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

SECONDS: Final = 10.0  # that the collector may take for a batch: OTEL_EXPORTER_OTLP_TIMEOUT's default
STOP_SECONDS: Final = 5.0  # that it may take for all that is left at the stop, which has less time than the SDK would wait

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
    made.add_span_processor(_Batches(Exporter(endpoint)))
    return made


class Exporter(SpanExporter):
    """Sends one batch after the other, on one connection. What the collector does not take is dropped: traces are samples.

    The SDK's own brings `requests` and what that stands on: 5 MB and 40 ms of every process for one kind of request.
    """

    def __init__(self, endpoint: str) -> None:
        self._connection = _connection(endpoint)
        self._connection.auto_open = 0  # `_send` does, unless it is too late
        self._path = f"{urlsplit(endpoint).path.rstrip('/')}/v1/traces"
        given = parse_env_headers(os.environ.get("OTEL_EXPORTER_OTLP_HEADERS", ""), liberal=True)
        self._headers = {"content-type": "application/x-protobuf", **given}
        self._end = 0.0
        self._stopped = False

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Send a batch; only the one thread of its processor comes here."""
        try:
            status = self._deliver(encode_spans(spans).SerializeToString())
        except (OSError, HTTPException) as error:
            self._connection.close()
            log.warning("traces_dropped", spans=len(spans), error_type=type(error).__name__)
            return SpanExportResult.FAILURE
        if status < HTTPStatus.MULTIPLE_CHOICES:
            return SpanExportResult.SUCCESS
        log.warning("traces_dropped", spans=len(spans), status=status)
        return SpanExportResult.FAILURE

    def _deliver(self, body: bytes) -> int:
        """Send a batch in time. It is sent again only where a kept connection was found closed: else the collector may have it."""
        self._end = time.monotonic() + SECONDS
        ending = threading.Timer(SECONDS, self._cut)  # the timeout of a socket begins again with each byte
        ending.daemon = True
        ending.start()
        kept = self._connection.sock is not None
        try:
            return self._send(body)
        except (ConnectionResetError, BrokenPipeError):  # the former is also http.client's RemoteDisconnected
            self._connection.close()
            if not kept:
                raise
            return self._send(body)
        finally:
            ending.cancel()

    def _send(self, body: bytes) -> int:
        self._go_on()
        if self._connection.sock is None:
            self._connection.connect()
            self._go_on()  # what ended meanwhile found nothing to cut
        self._connection.request("POST", self._path, body, self._headers)
        with self._connection.getresponse() as answer:
            if self._connection.sock is not None:  # it is kept, so the next request needs it empty
                answer.read()
            return answer.status

    def _go_on(self) -> None:
        if self._stopped or time.monotonic() >= self._end:
            raise TimeoutError

    def _cut(self) -> None:
        """Let whoever waits for the collector fail now; closing is theirs."""
        open_now: socket.socket | None = self._connection.sock
        if open_now is not None:
            with contextlib.suppress(OSError):
                socket.socket.shutdown(open_now, socket.SHUT_RDWR)  # TLS's own would let the next bytes be sent in clear

    def give_up(self) -> None:
        """Drop what is under way and all that would come; any thread may say so."""
        self._stopped = True
        self._cut()

    def shutdown(self) -> None:
        """Close the connection; the processor has sent what was left."""
        self.give_up()
        self._connection.close()


class _Batches(BatchSpanProcessor):
    """The SDK's batches, whose stop waits no longer than a process has time to stop."""

    def __init__(self, exporter: Exporter) -> None:
        super().__init__(exporter)
        self._exporter = exporter

    def shutdown(self) -> None:
        """Send what is left, as far as there is time."""
        ending = threading.Thread(target=super().shutdown, daemon=True)
        ending.start()
        ending.join(STOP_SECONDS)
        self._exporter.give_up()


def _connection(endpoint: str) -> HTTPConnection:
    """Return what connects when it is first used; OTEL_EXPORTER_OTLP_CERTIFICATE names who is trusted beside the system's authorities."""
    url = urlsplit(endpoint)
    if url.scheme != "https":
        return HTTPConnection(url.hostname or "", url.port, timeout=SECONDS)
    context = ssl.create_default_context()
    if trusted := os.environ.get("OTEL_EXPORTER_OTLP_CERTIFICATE"):
        context.load_verify_locations(trusted)
    return HTTPSConnection(url.hostname or "", url.port, timeout=SECONDS, context=context)
