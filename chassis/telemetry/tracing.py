"""Traces: spans that continue a W3C trace context, made by the OpenTelemetry SDK only where somebody will see them.

A call that is not sampled costs one small object and carries its ids on, so that logs still have them.
"""

import random
import re
from contextvars import ContextVar, Token
from types import TracebackType
from typing import TYPE_CHECKING, Final, Self

from opentelemetry import trace
from opentelemetry.trace import NonRecordingSpan, SpanContext, SpanKind, Status, StatusCode, TraceFlags, Tracer

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider

_TRACEPARENT: Final = re.compile(r"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(?:-.*)?")
_random: Final = random.Random()  # noqa: S311 - ids of traces are no secrets

Attribute = str | int | float | bool


class _Switch:
    """Whether traces are on in this process."""

    provider: "TracerProvider | None" = None
    tracer: Tracer | None = None
    ratio: float = 0.0


def start(provider: "TracerProvider", *, ratio: float) -> None:
    """Send the spans of sampled traces to a provider; `ratio` of the traces that begin here are sampled."""
    _Switch.provider = provider
    _Switch.tracer = provider.get_tracer("kith")
    _Switch.ratio = ratio


def stop() -> None:
    """Send what is left and sample nothing more. Blocks for as long as the exporter may take."""
    provider, _Switch.provider, _Switch.tracer, _Switch.ratio = _Switch.provider, None, None, 0.0
    if provider is not None:
        provider.shutdown()


class Span:
    """A piece of work in a trace, current inside its `with` block. No attribute may hold personal data."""

    __slots__ = ("_mark", "_recording", "sampled", "span_id", "trace_id")

    def __init__(self, *, trace_id: str, span_id: str, sampled: bool, recording: trace.Span | None = None) -> None:
        self.trace_id = trace_id
        self.span_id = span_id
        self.sampled = sampled
        self._recording = recording
        self._mark: Token[Span] | None = None

    @property
    def recorded(self) -> bool:
        """Say whether anybody will see it."""
        return self._recording is not None

    @property
    def traceparent(self) -> str:
        """Return the W3C header by which another process continues from here."""
        return f"00-{self.trace_id}-{self.span_id}-{'01' if self.sampled else '00'}"

    @property
    def exemplar(self) -> dict[str, str] | None:
        """Return the labels that lead from a metric to this trace, None if nobody recorded it."""
        return {"trace_id": self.trace_id, "span_id": self.span_id} if self._recording is not None else None

    def set(self, name: str, value: Attribute) -> None:
        """Say something about the work."""
        if self._recording is not None:
            self._recording.set_attribute(name, value)

    def fail(self, error_type: str) -> None:
        """Mark the work as failed. The text of an error may hold data of a person, so only its type is kept."""
        if self._recording is not None:
            self._recording.set_attribute("error.type", error_type)
            self._recording.set_status(Status(StatusCode.ERROR))

    def child(self, name: str, kind: SpanKind) -> "Span":
        """Return a part of this work; of work that nobody records, the work itself stands for its parts."""
        tracer = _Switch.tracer
        if self._recording is None or tracer is None:
            return Span(trace_id=self.trace_id, span_id=self.span_id, sampled=self.sampled)
        return _recorded(tracer.start_span(name, trace.set_span_in_context(self._recording), kind=kind))

    def __enter__(self) -> Self:
        self._mark = _current.set(self)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, stack: TracebackType | None) -> None:
        if self._mark is not None:
            _current.reset(self._mark)
        if self._recording is not None:
            if kind is not None:
                self.fail(kind.__name__)
            self._recording.end()


_NONE: Final = Span(trace_id="", span_id="", sampled=False)
_current: ContextVar[Span] = ContextVar("span", default=_NONE)


def current() -> Span:
    """Return the span of the work in hand; outside of any, one without ids that records nothing."""
    return _current.get()


def traceparent() -> str:
    """Return the header for what the work in hand calls or publishes, empty outside of any."""
    span = _current.get()
    return span.traceparent if span.trace_id else ""


def serve(name: str, header: str) -> Span:
    """Return the span of a call that came in with a traceparent header, or with an empty one."""
    return _begin(name, header, SpanKind.SERVER)


def consume(name: str, header: str) -> Span:
    """Return the span of handling an event that was published with a traceparent header."""
    return _begin(name, header, SpanKind.CONSUMER)


def call(name: str) -> Span:
    """Return the span of a call to another process, a part of the work in hand."""
    return _current.get().child(name, SpanKind.CLIENT)


def step(name: str) -> Span:
    """Return the span of a step of the work in hand."""
    return _current.get().child(name, SpanKind.INTERNAL)


def _begin(name: str, header: str, kind: SpanKind) -> Span:
    """Continue a trace as its header says (parent-based sampling), or begin one and draw whether it is sampled."""
    tracer = _Switch.tracer
    parent = _TRACEPARENT.fullmatch(header) if header else None
    if parent is None:
        if tracer is not None and _random.random() < _Switch.ratio:
            return _recorded(tracer.start_span(name, trace.set_span_in_context(trace.INVALID_SPAN), kind=kind))
        return Span(trace_id=f"{_random.getrandbits(128) or 1:032x}", span_id=f"{_random.getrandbits(64) or 1:016x}", sampled=False)
    trace_id, span_id, flags = parent.groups()
    sampled = bool(int(flags, 16) & TraceFlags.SAMPLED)
    if not sampled or tracer is None:
        return Span(trace_id=trace_id, span_id=span_id, sampled=sampled)
    remote = SpanContext(int(trace_id, 16), int(span_id, 16), is_remote=True, trace_flags=TraceFlags(TraceFlags.SAMPLED))
    return _recorded(tracer.start_span(name, trace.set_span_in_context(NonRecordingSpan(remote)), kind=kind))


def _recorded(recording: trace.Span) -> Span:
    context = recording.get_span_context()
    return Span(trace_id=f"{context.trace_id:032x}", span_id=f"{context.span_id:016x}", sampled=True, recording=recording)
