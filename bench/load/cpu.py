"""CPU time that processes used, read from the operating system before and after."""

import os
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress

import psutil

Meter = Callable[[], float]
Reading = Mapping[str, float]


def tree(pid: int) -> float:
    """Return the CPU seconds of a process, its children that run, and those that it has buried."""
    process = psutil.Process(pid)
    return _own(process) + sum(_own(child) for child in process.children(recursive=True))


def postgres(pid: int, databases: Iterable[str]) -> float:
    """Return the CPU seconds of a server without the backends of other databases than these.

    A backend's title reads "postgres: user database host state"; the server's own helpers have other titles and are all counted.
    """
    wanted = set(databases)
    server = psutil.Process(pid)
    return _own(server) + sum(_own(child) for child in server.children() if _counts(child, wanted))


def generator() -> float:
    """Return the CPU seconds of this process."""
    times = os.times()
    return times.user + times.system


def read(meters: Mapping[str, Meter]) -> Reading:
    """Read all meters."""
    return {name: meter() for name, meter in meters.items()}


def used(before: Reading, after: Reading, requests: int) -> dict[str, float]:
    """Return the CPU microseconds per request by meter."""
    return {name: (after[name] - before[name]) * 1e6 / max(requests, 1) for name in after}


def _own(process: psutil.Process) -> float:
    with suppress(psutil.NoSuchProcess):
        times = process.cpu_times()
        return float(times.user + times.system + times.children_user + times.children_system)
    return 0.0


def _counts(process: psutil.Process, databases: set[str]) -> bool:
    with suppress(psutil.NoSuchProcess):
        words = " ".join(process.cmdline()).split()
        is_backend = (len(words) > 3 and "(" in words[3]) or "[local]" in words
        return not is_backend or words[2] in databases
    return False
