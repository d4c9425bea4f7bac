"""What is seen of an exchange from outside: a span, a metric, a line in the log, and what its caller hears when it stops.

Neither host nor path is noted in any of them: they are users' data, and the path of a webhook is often its secret.
"""

import contextlib
from collections.abc import Iterator
from time import perf_counter

import structlog

from chassis.egress.causes import Stopped, refusal
from chassis.egress.uses import Use
from chassis.telemetry import metrics, tracing

log = structlog.get_logger()


class Watch:
    """How one exchange goes."""

    def __init__(self, field: str) -> None:
        self.outcome = "abandoned"
        self._field = field

    def answered(self, status: int) -> None:
        """Note the class of an answer's status: of each status a stranger could make up a series."""
        self.outcome = f"{status // 100}xx"

    @contextlib.contextmanager
    def refusing(self) -> Iterator[None]:
        """Note the cause that stops the block, and raise what the caller is told of it."""
        try:
            yield
        except Stopped as stopped:
            self.outcome = stopped.cause
            raise refusal(stopped.cause, self._field) from None


@contextlib.contextmanager
def watched(use: Use, field: str) -> Iterator[Watch]:
    """Watch the exchange that the block is."""
    watch = Watch(field)
    started = perf_counter()
    with tracing.call(f"egress {use.name}") as span:
        try:
            yield watch
        finally:
            span.set("kith.egress.outcome", watch.outcome)
            metrics.egress(use.name, watch.outcome).observe(perf_counter() - started, span.exemplar)
            log.info("egress", use=use.name, outcome=watch.outcome)
