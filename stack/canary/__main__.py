"""The canary's process: `python -m stack.canary`."""

import asyncio
from contextlib import AsyncExitStack
from typing import Final

import httpx
import structlog

from chassis import contract, ending
from chassis.background import task
from chassis.environment import load
from chassis.telemetry.health import Health
from chassis.telemetry.probes import Probes
from chassis.telemetry.setup import started
from stack.canary.organisation import Organisation
from stack.canary.rounds import Canary
from stack.canary.settings import CanarySettings
from stack.contract_check.image import Image

NAME: Final = "canary"

log = structlog.get_logger()


async def run(settings: CanarySettings) -> None:
    """Go round until SIGTERM or SIGINT, then sign out."""
    ended = ending.asked()
    health = Health({})
    async with AsyncExitStack() as stack:
        probes = Probes(health, host=settings.host, port=settings.admin_port)
        probes.start()
        stack.push_async_callback(asyncio.to_thread, probes.stop)
        await stack.enter_async_context(task(health.watch(), name="health"))
        edge = await stack.enter_async_context(httpx.AsyncClient(base_url=settings.canary_edge))
        keeper = Organisation(edge, "keeper", settings.canary_keeper_password.reveal())
        prober = Organisation(edge, "prober", settings.canary_prober_password.reveal())
        canary = Canary(Image(tuple(contract.image().file)), keeper, prober, round_seconds=settings.canary_round_seconds)
        async with task(canary.run(), name="rounds"):
            health.started = True
            log.info("started", edge=settings.canary_edge)
            await ended.wait()
            log.info("draining")
            health.draining = True
        await asyncio.gather(keeper.leave(), prober.leave())
    log.info("stopped")


def main() -> None:
    """Read the settings and run."""
    settings = load(CanarySettings)
    with started(NAME, settings):
        asyncio.run(run(settings))


if __name__ == "__main__":
    main()
