"""What is measured: an address, what it is asked, and whose CPU is counted."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from bench.load.cpu import Meter
from bench.load.requests import Requests

CONTACTS: Final = 2_000
"""Contacts of the tenant that asks."""


@dataclass(frozen=True)
class Target:
    """One system under test; the CPU of the meters in `counted` is the cost of a request, that of the others is shown beside it."""

    name: str
    host: str
    port: int
    requests: Requests
    meters: Mapping[str, Meter]
    counted: tuple[str, ...]
