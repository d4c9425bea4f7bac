"""A share of a core for each process, so that two cores can show what more of them would do: Linux control groups count and hold."""

from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Final

GROUPS: Final = Path("/sys/fs/cgroup")
PROCESSES: Final = Path("/proc")
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
    root = _root()
    origin = root / _group(pid)
    group = root / f"kith-bench-{pid}"
    group.mkdir()
    try:
        _hold(group, quota)
        (group / "cgroup.procs").write_text(str(pid))
        yield
    finally:
        with suppress(ProcessLookupError):  # it died, which is for others to say
            (origin / "cgroup.procs").write_text(str(pid))
        group.rmdir()


def _unified() -> bool:
    return (GROUPS / "cgroup.controllers").exists()


def _root() -> Path:
    """Return where groups are made that hold processes to a share. Raises RuntimeError where there is no such place."""
    if not _unified():
        return GROUPS / "cpu"
    if "cpu" not in (GROUPS / "cgroup.subtree_control").read_text().split():
        raise RuntimeError(f"groups have no cpu controller here: echo +cpu > {GROUPS}/cgroup.subtree_control")
    return GROUPS


def _group(pid: int) -> str:
    """Return the group of a process, below the root: of version 2 the line without controllers, else that of cpu."""
    wanted = "" if _unified() else "cpu"
    for line in (PROCESSES / str(pid) / "cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        if wanted in controllers.split(","):
            return path.lstrip("/")
    raise RuntimeError(f"process {pid} is in no control group that counts its CPU")


def _hold(group: Path, quota: int) -> None:
    if _unified():
        (group / "cpu.max").write_text(f"{quota} {PERIOD}")
    else:
        (group / "cpu.cfs_period_us").write_text(str(PERIOD))
        (group / "cpu.cfs_quota_us").write_text(str(quota))
