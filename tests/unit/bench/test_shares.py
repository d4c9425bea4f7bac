"""A process that was held to a share of a core goes back where it was, and what went wrong is what is told."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench import shares


@pytest.fixture
def process() -> Iterator["subprocess.Popen[bytes]"]:
    with subprocess.Popen(["sleep", "600"]) as started:
        yield started
        started.kill()


@pytest.fixture
def group(process: "subprocess.Popen[bytes]") -> Iterator[Path]:
    """Give the process a group of its own, where the machine lets us make one."""
    try:
        made = shares._root() / f"kith-test-{process.pid}"
        made.mkdir()
    except (OSError, RuntimeError) as error:
        pytest.skip(f"no control groups of one's own: {error}")
    (made / "cgroup.procs").write_text(str(process.pid))
    yield made
    process.kill()
    process.wait()
    made.rmdir()


@pytest.mark.usefixtures("group")
def test_a_process_goes_back_into_its_group(process: "subprocess.Popen[bytes]") -> None:
    before = shares._group(process.pid)
    with shares.held([process.pid], 0.5):
        assert shares._group(process.pid) == f"kith-bench-{process.pid}"
    assert shares._group(process.pid) == before == f"kith-test-{process.pid}"


@pytest.mark.usefixtures("group")
def test_a_process_that_dies_hides_no_error(process: "subprocess.Popen[bytes]") -> None:
    def fail() -> None:
        process.kill()
        process.wait()
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError), shares.held([process.pid], 0.5):
        fail()
    assert not (shares._root() / f"kith-bench-{process.pid}").exists()


@pytest.mark.parametrize(
    ("unified", "said", "group"),
    [
        (True, "0::/system.slice/kith.service\n", "system.slice/kith.service"),
        (True, "1:name=systemd:/a\n0::/\n", ""),
        (False, "4:cpuset:/a\n3:cpu,cpuacct:/b:c\n0::/\n", "b:c"),
        (False, "2:cpuacct:/a\n1:cpu:/b\n", "b"),
    ],
)
def test_the_group_of_a_process_is_read(unified: bool, said: str, group: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shares, "GROUPS", tmp_path)
    monkeypatch.setattr(shares, "PROCESSES", tmp_path)
    if unified:
        (tmp_path / "cgroup.controllers").touch()
    (tmp_path / "7").mkdir()
    (tmp_path / "7/cgroup").write_text(said)
    assert shares._group(7) == group


def test_groups_without_the_controller_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shares, "GROUPS", tmp_path)
    (tmp_path / "cgroup.controllers").write_text("cpu memory\n")
    (tmp_path / "cgroup.subtree_control").write_text("memory\n")
    with pytest.raises(RuntimeError, match="no cpu controller"), shares.held([1], 0.5):
        pass
    assert not (tmp_path / "kith-bench-1").exists()
