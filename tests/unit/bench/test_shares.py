"""A process that was held to a share of a core goes back into the group that it came from, and what is missing is told."""

from pathlib import Path

import pytest

from bench import shares


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
