"""Ports that can be had: the wanted one, or a free one in its place."""

import atexit
import random
import socket
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

BELOW_EPHEMERAL: Final = range(20_000, 32_000)
"""Linux hands out 32768 and above to outgoing connections, which could take a port between our look and the server's bind."""

BLOCK: Final = 50  # ports, twice as many as a platform has

_ours: Final[dict[str, Iterator[int]]] = {}
"""By host what this process has not given away yet; a block is used up before the next one is held, since there are only so many."""


@dataclass(frozen=True)
class Moved:
    """A port that was busy, and the one taken instead."""

    name: str
    wanted: int
    port: int


def is_free(host: str, port: int) -> bool:
    """Say whether a server could listen on the port now."""
    with socket.socket(_family(host)) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def settle(host: str, wanted: Mapping[str, int]) -> tuple[dict[str, int], list[Moved]]:
    """Return a free port for each name and those that moved; 0 asks for any free one."""
    settled: dict[str, int] = {}
    moved: list[Moved] = []
    ours = _ours.setdefault(host, _blocks(host))
    for name, port in wanted.items():
        if port and is_free(host, port) and port not in settled.values():
            settled[name] = port
            continue
        settled[name] = next(free for free in ours if free not in wanted.values() and is_free(host, free))
        if port:
            moved.append(Moved(name, port, settled[name]))
    return settled, moved


def _blocks(host: str) -> Iterator[int]:
    """Yield the ports of blocks that this process holds, so that two platforms that start at once never take the same one."""
    for first in random.sample(BELOW_EPHEMERAL[::BLOCK], k=len(BELOW_EPHEMERAL[::BLOCK])):
        if _hold(host, first):
            yield from range(first + 1, first + BLOCK)


def _hold(host: str, port: int) -> bool:
    """Keep a block's first port bound until this process ends; say whether nobody else has it."""
    guard = socket.socket(_family(host))
    try:
        guard.bind((host, port))
    except OSError:
        guard.close()
        return False
    atexit.register(guard.close)
    return True


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET
