"""Where spans are sent: an OTLP collector over HTTP. Imported only when there is one, since it costs 17 MB."""

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import ALWAYS_ON


def provider(*, service: str, version: str, environment: str, instance: str) -> TracerProvider:
    """Return a provider that sends spans in batches to the collector that OTEL_EXPORTER_OTLP_ENDPOINT names.

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
    made.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return made
