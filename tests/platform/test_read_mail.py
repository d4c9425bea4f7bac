"""What is done with mailed links, as pages of `docs/how-to` walk it."""

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


PAGES = {
    "read-mail.md": ["Subject: Confirm your email address", '"emailVerifyTime"'],
    "reset-a-password.md": ["Subject: Choose a new password", '"emailVerifyTime"'],
}


@pytest.mark.system  # curl
@pytest.mark.parametrize("page", PAGES)
async def test_the_walk_works_as_it_is_written(platform: Wiring, edge: httpx.AsyncClient, page: str) -> None:
    [walk] = WALK.findall((ROOT / "docs" / "how-to" / page).read_text())
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
    assert [each for each in PAGES[page] if each not in said.decode()] == []
