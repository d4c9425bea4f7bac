"""What the platform calls addresses of users for, each purpose with what it may do."""

from dataclasses import dataclass
from typing import Final

PORTS: Final = frozenset({80, 443})
"""Ports that every use may call: what else listens on a machine does not expect HTTP from strangers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Use:
    """One purpose, a constant of the code that has it. Its name stands in metrics and spans.

    `seconds` bounds the whole exchange, what is done with a streamed answer included; `connect_seconds` the way until TLS stands;
    `silence_seconds` the wait for the next byte. `size` bounds the body in bytes.
    """

    name: str
    schemes: frozenset[str] = frozenset({"https"})
    ports: frozenset[int] = PORTS
    seconds: float = 10
    connect_seconds: float = 5
    silence_seconds: float = 10
    size: int = 5 * 1024 * 1024
