"""What every process tells Prometheus can be read by Prometheus."""

import asyncio

import httpx
import pytest

from stack.topology import EDGE, SERVICES, admin
from stack.wiring import Wiring
from tests import patience
from tests.platform.conftest import Metrics

PROCESSES = [service.name for service in (EDGE, *SERVICES)]


@pytest.mark.system  # promtool
@pytest.mark.parametrize("process", PROCESSES)
async def test_the_metrics_of_a_process_pass_promtool(platform: Wiring, process: str) -> None:
    async with httpx.AsyncClient(timeout=patience.SECONDS) as client:
        metrics = await client.get(f"http://{platform.address(admin(process))}/metrics")
    assert metrics.status_code == 200
    assert await complaints(metrics.text) == (0, "")


@pytest.mark.system  # promtool
async def test_the_metrics_of_the_canary_pass_promtool(canary: Metrics) -> None:
    assert await complaints(await canary()) == (0, "")


async def complaints(metrics: str) -> tuple[int | None, str]:
    """Return what promtool says, and its exit code."""
    check = await asyncio.create_subprocess_exec(
        "promtool",
        "check",
        "metrics",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await check.communicate(metrics.encode())
    return check.returncode, said.decode()
