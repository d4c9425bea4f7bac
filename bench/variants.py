"""The platform in another form beside itself: one more service and one more edge on its databases, to see what a part of it costs."""

import asyncio
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Final

import orjson

from bench import kith
from bench.load import cpu
from bench.target import Target
from stack import ports
from stack.launch import Platform
from stack.processes.probes import http_ready
from stack.topology import EDGE, ROOT, SERVICES, Service

ASKED: Final = frozenset({"get", "list", "post"})
START_SECONDS: Final = 30.0
POLL: Final = 0.05


@dataclass(frozen=True, kw_only=True)
class Variant:
    """What is different: the part that is left out (bench/without.py), and the environment."""

    name: str
    without: str
    environment: Mapping[str, str] = field(default_factory=dict)


VARIANTS: Final = (
    Variant(name="no telemetry", without="telemetry", environment={"OTEL_EXPORTER_OTLP_ENDPOINT": ""}),
    Variant(name="calls by themselves", without="lanes"),
)


@asynccontextmanager
async def running(platform: Platform, original: Target, variant: Variant, folder: Path) -> AsyncIterator[Target]:
    """Run the second pair for the length of a block.

    Whatever the first service does for the second one, such as publishing its events, is counted too.
    """
    service = next(each for each in SERVICES if each.name == kith.ON_THE_PATH)
    found, _ = ports.settle("127.0.0.1", dict.fromkeys(("service", "service_admin", "edge", "edge_admin"), 0))
    upstreams = {each.name: platform.wiring.address(each.name) for each in SERVICES} | {service.name: f"127.0.0.1:{found['service']}"}
    said = {**variant.environment, "KITH_UPSTREAMS": orjson.dumps(upstreams).decode()}
    async with (
        _process(platform, service, variant, _own(said, found, "service"), folder) as second,
        _process(platform, EDGE, variant, _own(said, found, "edge"), folder) as edge,
    ):
        meters: dict[str, cpu.Meter] = {
            **original.meters,
            "edge": partial(cpu.tree, edge.pid),
            "service": lambda: cpu.tree(second.pid) + original.meters["service"](),
        }
        requests = replace(original.requests, host=f"127.0.0.1:{found['edge']}")
        yield replace(original, name=variant.name, port=found["edge"], requests=requests, meters=meters, memory={}, asked=ASKED)


def _own(said: Mapping[str, str], found: Mapping[str, int], name: str) -> dict[str, str]:
    return {**said, "KITH_PORT": str(found[name]), "KITH_ADMIN_PORT": str(found[f"{name}_admin"])}


@asynccontextmanager
async def _process(
    platform: Platform, service: Service, variant: Variant, said: Mapping[str, str], folder: Path
) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run one process until the end of the block, from the moment that it is ready."""
    environment = {**platform.wiring.environment(service), **said}
    with (folder / f"{service.name}-{said['KITH_PORT']}.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "bench.without", variant.without, service.module, env=environment, cwd=ROOT, stdout=log, stderr=log
        )
    try:
        ready = http_ready(f"127.0.0.1:{said['KITH_ADMIN_PORT']}", "/readyz")
        async with asyncio.timeout(START_SECONDS):
            while not await ready():  # noqa: ASYNC110 - another process cannot set an event of ours
                await asyncio.sleep(POLL)
        yield process
    finally:
        process.terminate()
        await process.wait()
