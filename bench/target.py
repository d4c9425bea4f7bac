"""What is measured: an address, what it is asked, and whose CPU is counted."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from bench.load.requests import Requests

CONTACTS = 2_000


@dataclass(frozen=True)
class Target:
    """One system under test; the CPU of the meters in `counted` is the cost of a request, that of the others is shown beside it."""

    name: str
    host: str
    port: int
    requests: Requests
    meters: Mapping[str, Callable[[], float]]
    counted: tuple[str, ...]
