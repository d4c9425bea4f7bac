"""What every process tells Prometheus can be read by Prometheus."""

import asyncio

import httpx
import pytest

from stack.topology import EDGE, SERVICES, admin
from stack.wiring import Wiring

PROCESSES = [service.name for service in (EDGE, *SERVICES)]


@pytest.mark.system  # promtool
@pytest.mark.parametrize("process", PROCESSES)
async def test_the_metrics_of_a_process_pass_promtool(platform: Wiring, process: str) -> None:
    async with httpx.AsyncClient() as client:
        metrics = await client.get(f"http://{platform.address(admin(process))}/metrics")
    assert metrics.status_code == 200
    check = await asyncio.create_subprocess_exec(
        "promtool",
        "check",
        "metrics",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await check.communicate(metrics.content)
    assert (check.returncode, said.decode()) == (0, "")
