"""What is measured: an address, what it is asked, and whose CPU and memory is counted."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from bench.load.cpu import Meter
from bench.load.requests import Requests

CONTACTS: Final = 2_000
"""Contacts of the tenant that asks."""

PARTS: Final = ("edge", "service", "database")
"""Whose CPU is the cost of a request; that of the other meters is shown beside it."""


@dataclass(frozen=True, kw_only=True)
class Target:
    """One system under test. `asked` are the questions that it is asked, all when empty."""

    name: str
    host: str
    port: int
    requests: Requests
    meters: Mapping[str, Meter]
    memory: Mapping[str, Callable[[], float]] = field(default_factory=dict)
    asked: frozenset[str] = frozenset()
