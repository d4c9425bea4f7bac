"""Waits for processes that are not our children."""

import time
from collections.abc import Iterable
from contextlib import suppress
from typing import Final

import psutil

LOOK_SECONDS: Final = 0.05


def is_running(process: psutil.Process) -> bool:
    """Say whether the process runs; one that ended does not, although nobody collects it in a container without an init."""
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def survivors(processes: Iterable[psutil.Process], seconds: float) -> list[psutil.Process]:
    """Wait until the processes ended, and return those that still run after the time."""
    deadline = time.monotonic() + seconds
    left = list(filter(is_running, processes))
    while left and time.monotonic() < deadline:
        with suppress(psutil.TimeoutExpired):
            left[0].wait(LOOK_SECONDS)
        left = list(filter(is_running, left))
    return left
