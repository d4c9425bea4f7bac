"""Telemetry of a process from its start to its end: logs, traces, build information."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

from chassis.settings import ProcessSettings
from chassis.telemetry import logs, metrics, tracing


@contextmanager
def started(service: str, settings: ProcessSettings) -> Iterator[None]:
    """Log, and send traces if there is a collector, inside the block."""
    logs.start(service=service, version=settings.version, level=settings.log_level)
    metrics.BUILD.info({"service": service, "version": settings.version})
    if not settings.otel_exporter_otlp_endpoint:
        yield
        return
    from chassis.telemetry import otlp  # noqa: PLC0415 - costs 4 MB, so only who needs it pays

    provider = otlp.provider(
        service=service,
        version=settings.version,
        environment=settings.environment,
        instance=f"{service}-{os.getpid()}",
        endpoint=settings.otel_exporter_otlp_endpoint,
    )
    tracing.start(provider, ratio=settings.trace_ratio)
    try:
        yield
    finally:
        tracing.stop()
