"""`python -m bench.without WHAT MODULE`: run a process of the platform without a part of it, to see what the part costs or saves."""

import runpy
import sys
from collections.abc import Callable, Mapping
from typing import Final

from prometheus_client import Counter, Gauge, Histogram


def _telemetry() -> None:
    """Count nothing. Traces are off where no collector is named."""
    Histogram.observe = _nothing  # type: ignore[method-assign]
    Counter.inc = _nothing  # type: ignore[method-assign]
    Gauge.inc = Gauge.dec = Gauge.set = _nothing  # type: ignore[method-assign]


def _lanes() -> None:
    """Make each call by itself, as where no stream to the service stands."""
    from chassis.carrier.lanes import Lanes  # noqa: PLC0415 - the other parts are looked at without it

    Lanes.lane = property(lambda _: None)  # type: ignore[assignment]


def _nothing(*_: object, **__: object) -> None:
    """Count nothing."""


PARTS: Final[Mapping[str, Callable[[], None]]] = {"telemetry": _telemetry, "lanes": _lanes}

if __name__ == "__main__":
    _, what, module = sys.argv
    PARTS[what]()
    runpy.run_module(module, run_name="__main__", alter_sys=True)
