"""How much memory processes hold: their proportional share, so that what several of them map is counted once."""

from contextlib import suppress

import psutil

MIB = 1024**2


def tree(pid: int) -> float:
    """Return the MiB of a process and its children."""
    process = psutil.Process(pid)
    return sum(_own(each) for each in (process, *process.children(recursive=True)))


def _own(process: psutil.Process) -> float:
    with suppress(psutil.NoSuchProcess, psutil.ZombieProcess):
        return float(process.memory_full_info().pss) / MIB
    return 0.0
