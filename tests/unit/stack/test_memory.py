"""PostgreSQL's buffers fit the machine, or the container."""

from pathlib import Path

import psutil
import pytest

from stack.memory import MEBIBYTE, available, shares


@pytest.mark.parametrize(
    ("mebibytes", "buffers", "cached"), [(256, "128MB", "128MB"), (4096, "1024MB", "2048MB"), (65_536, "2048MB", "32768MB")]
)
def test_a_quarter_goes_to_buffers_within_limits(mebibytes: int, buffers: str, cached: str) -> None:
    assert shares(mebibytes * MEBIBYTE) == {"shared_buffers": buffers, "effective_cache_size": cached}


@pytest.mark.parametrize(("said", "limit"), [("1073741824\n", 1073741824), ("max\n", None), ("9223372036854771712\n", None), (None, None)])
def test_a_container_has_what_it_may_use(tmp_path: Path, said: str | None, limit: int | None) -> None:
    group = tmp_path / "memory.max"
    if said is not None:
        group.write_text(said)
    assert available(group) == (limit or psutil.virtual_memory().total)
