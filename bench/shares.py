"""A share of a core for each process, so that two cores can show what more of them would do: Linux control groups count and hold."""

from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

GROUPS: Final = Path("/sys/fs/cgroup")
PERIOD: Final = 20_000  # microseconds in which a process gets its share; the default of 100 ms lets it stand still for most of that


@contextmanager
def held(pids: Iterable[int], share: float) -> Iterator[None]:
    """Give each process no more than a share of a core, at least a twentieth, for the length of a block.

    It needs the right to make control groups.
    https://docs.kernel.org/admin-guide/cgroup-v2.html (cpu.max), https://docs.kernel.org/scheduler/sched-bwc.html (version 1)
    """
    with ExitStack() as stack:
        for pid in pids:
            stack.enter_context(_held(pid, round(PERIOD * share)))
        yield


@contextmanager
def _held(pid: int, quota: int) -> Iterator[None]:
    root = GROUPS if (GROUPS / "cgroup.controllers").exists() else GROUPS / "cpu"
    group = root / f"kith-bench-{pid}"
    group.mkdir()
    try:
        _hold(group, quota)
        (group / "cgroup.procs").write_text(str(pid))
        yield
    finally:
        (root / "cgroup.procs").write_text(str(pid))
        group.rmdir()


def _hold(group: Path, quota: int) -> None:
    if (group / "cpu.max").exists():
        (group / "cpu.max").write_text(f"{quota} {PERIOD}")
    else:
        (group / "cpu.cfs_period_us").write_text(str(PERIOD))
        (group / "cpu.cfs_quota_us").write_text(str(quota))
