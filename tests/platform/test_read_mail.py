"""The mailed verification as `docs/how-to/read-mail.md` walks it."""

import asyncio
import os
import re
from pathlib import Path

import httpx
import pytest

from stack.generate import ROOT
from stack.wiring import Wiring
from tests import running
from tests.patience import SECONDS

WALK = re.compile(r"^```bash\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@pytest.mark.system  # curl
async def test_the_walk_works_as_it_is_written(platform: Wiring, edge: httpx.AsyncClient) -> None:
    [walk] = WALK.findall((ROOT / "docs" / "how-to" / "read-mail.md").read_text())
    own = {"PATH": f"{Path(running.KITH).parent}:{os.environ['PATH']}", "KITH": str(edge.base_url), "KITH_DATA": str(platform.layout.data)}
    process = await asyncio.create_subprocess_exec(
        "bash",
        "-euo",
        "pipefail",
        "-c",
        walk,
        env={**os.environ, **own},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(SECONDS):
            said, complained = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
    assert process.returncode == 0, said.decode() + complained.decode()
    assert "Subject: Confirm your email address" in said.decode()
    assert '"emailVerifyTime"' in said.decode()
