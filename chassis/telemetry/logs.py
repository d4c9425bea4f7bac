"""Logs: one JSON object a line, with fixed event words and the ids of the call in hand; no text of errors, no values of fields."""

import logging
import sys
import traceback
from collections.abc import Mapping, MutableMapping
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Final

import orjson
import stamina.instrumentation
import structlog
from google.protobuf.message import Message

from chassis import context
from chassis.telemetry import tracing

SENSITIVE: Final = frozenset(
    {"authorization", "body", "cookie", "dsn", "email", "key", "name", "password", "payload", "phone", "secret", "token"}
)
MASK: Final = "***"
FRAMES: Final = 12  # innermost frames of an error that are kept

Fields = MutableMapping[str, Any]
ErrorInfo = tuple[type[BaseException], BaseException, TracebackType | None]


def start(*, service: str, version: str, level: str) -> None:
    """Send the logs of this process to standard output, those of libraries included."""
    lowest = logging.getLevelNamesMapping()[level.upper()]
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            _origin(service, version),
            _call_in_hand,
            _error_without_text,
            _masked,
            _line,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(lowest),
        logger_factory=structlog.BytesLoggerFactory(sys.stdout.buffer),
        cache_logger_on_first_use=True,
    )
    logging.basicConfig(handlers=[_Library()], level=max(lowest, logging.WARNING), force=True)
    logging.captureWarnings(capture=True)
    stamina.instrumentation.set_on_retry_hooks([_retried])


class _Library(logging.Handler):
    """Carries what libraries log into ours: the template that they log by, without the values that they put in."""

    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[1] if record.exc_info else None
        structlog.get_logger().log(record.levelno, "library", logger=record.name, template=str(record.msg), exc_info=error)


def _retried(details: stamina.instrumentation.RetryDetails) -> None:
    """Log a retry; stamina's own hook writes arguments and errors as they are."""
    structlog.get_logger().info("retried", callable=details.name, error_type=type(details.caused_by).__name__, retry=details.retry_num)


def _origin(service: str, version: str) -> structlog.typing.Processor:
    def add(_: object, __: str, fields: Fields) -> Fields:
        fields["time"] = datetime.now(UTC).isoformat(timespec="microseconds")
        fields["service"] = service
        fields["version"] = version
        return fields

    return add


def _call_in_hand(_: object, __: str, fields: Fields) -> Fields:
    """Add the ids of the call, event or job that is worked on, where there is one."""
    span = tracing.current()
    if span.trace_id:
        fields["trace_id"] = span.trace_id
        fields["span_id"] = span.span_id
    try:
        request = context.current()
    except LookupError:
        return fields
    known = {
        "request_id": request.request_id,
        "tenant_id": request.caller.tenant_id,
        "principal_id": request.caller.id,
        "rpc_method": request.method.full_name if request.method else "",
    }
    return {**{name: value for name, value in known.items() if value}, **fields}


def _error_without_text(_: object, __: str, fields: Fields) -> Fields:
    """Replace an error by its type and the places it came through: its text may hold the data of a person."""
    given = fields.pop("exc_info", None)
    error = sys.exception() if given is True else given
    if isinstance(error, BaseException):
        frames = traceback.extract_tb(error.__traceback__)[-FRAMES:]
        fields["error_type"] = type(error).__name__
        fields["stack"] = [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames]
        sqlstate = getattr(error, "sqlstate", None)
        if sqlstate:
            fields["sqlstate"] = sqlstate
    return fields


def _masked(_: object, __: str, fields: Fields) -> Fields:
    """Hide what should not have been logged: fields of a telling name, and whole messages."""
    return {name: _shown(name, value) for name, value in fields.items()}


def _shown(name: str, value: object) -> object:
    if name in SENSITIVE:
        return MASK
    if isinstance(value, Message):
        return value.DESCRIPTOR.full_name
    if isinstance(value, Mapping):
        return {inner: _shown(str(inner), each) for inner, each in value.items()}
    return value


def _line(_: object, __: str, fields: Fields) -> bytes:
    return orjson.dumps(fields, default=lambda value: type(value).__name__, option=orjson.OPT_NON_STR_KEYS)
