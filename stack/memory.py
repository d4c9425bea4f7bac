"""How much memory there is for a server, and what of it the embedded PostgreSQL takes."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

import psutil

MEBIBYTE: Final = 1024 * 1024
GROUP: Final = Path("/sys/fs/cgroup/memory.max")
"""The limit of a container, in bytes or "max" (https://docs.kernel.org/admin-guide/cgroup-v2.html, memory interface files)."""

LEAST: Final = 128
MOST: Final = 2048
"""Mebibytes of buffers. They are filled as tables are read; but whatever removes a table looks through all of them (decision 0038)."""


def available(group: Path = GROUP) -> int:
    """Return the bytes of this machine, or of the container that this process is in where that has fewer."""
    machine = int(psutil.virtual_memory().total)
    try:
        limit = group.read_text().strip()
    except OSError:
        return machine
    return min(machine, int(limit)) if limit.isdigit() else machine


def shares(memory: int) -> Mapping[str, str]:
    """Return PostgreSQL's settings for so many bytes: a quarter for its buffers, as its manual says, and half counted on for files."""
    buffers = min(max(memory // 4 // MEBIBYTE, LEAST), MOST)
    cached = max(memory // 2 // MEBIBYTE, buffers)
    return {"shared_buffers": f"{buffers}MB", "effective_cache_size": f"{cached}MB"}
