"""A collector of traces inside the test: it takes what processes export and keeps it."""

import gzip
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

Spans = dict[str, tuple[str, str, str, dict[str, str]]]
"""By span id: service, name, parent's id, attributes."""


class Collector(ThreadingHTTPServer):
    """Takes what is exported and keeps it."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.taken: list[bytes] = []

    def spans(self, trace: str) -> Spans:
        found: Spans = {}
        for body in self.taken:
            for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
                service = next(each.value.string_value for each in resource.resource.attributes if each.key == "service.name")
                for span in (span for scope in resource.scope_spans for span in scope.spans if span.trace_id.hex() == trace):
                    attributes = {each.key: each.value.string_value for each in span.attributes}
                    found[span.span_id.hex()] = (service, span.name, span.parent_span_id.hex(), attributes)
        return found


class _Handler(BaseHTTPRequestHandler):
    server: Collector

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.taken.append(gzip.decompress(body) if self.headers["Content-Encoding"] == "gzip" else body)
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Stay silent."""
