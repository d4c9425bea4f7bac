"""`python -m bench.silent MODULE`: run a process of the platform whose metrics are not counted, to see what counting costs."""

import runpy
import sys

from prometheus_client import Counter, Gauge, Histogram


def _nothing(*_: object, **__: object) -> None:
    """Count nothing."""


if __name__ == "__main__":
    Histogram.observe = _nothing  # type: ignore[method-assign]
    Counter.inc = _nothing  # type: ignore[method-assign]
    Gauge.inc = Gauge.dec = Gauge.set = _nothing  # type: ignore[method-assign]
    runpy.run_module(sys.argv[1], run_name="__main__", alter_sys=True)
