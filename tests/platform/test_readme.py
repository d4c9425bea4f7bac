"""The first session of the README, run as it stands there."""

import asyncio
import os
import re

import httpx
import pytest

from stack.generate import ROOT

SESSION = re.compile(r"^```bash\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@pytest.mark.system  # curl
async def test_the_first_session_works_as_it_is_written(edge: httpx.AsyncClient) -> None:
    [session] = SESSION.findall((ROOT / "README.md").read_text())
    process = await asyncio.create_subprocess_exec(
        "bash",
        "-euo",
        "pipefail",
        "-c",
        session,
        env={"PATH": os.environ["PATH"], "KITH": str(edge.base_url)},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    said, complained = await process.communicate()
    assert process.returncode == 0, said.decode() + complained.decode()
    assert re.search(rb'"title": ?"Buyer"[^\n]*\Z', said), said.decode()[-1000:]
