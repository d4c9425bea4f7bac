"""The edge's process: `python -m gateway.main`."""

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import Final

import structlog
import uvloop

from chassis import collecting, ending
from chassis import contract as contracts
from chassis.background import task
from chassis.clients import Clients
from chassis.environment import load
from chassis.events.broker import Broker
from chassis.events.foreign_keys import remote
from chassis.telemetry.probes import Probes
from chassis.telemetry.setup import started
from chassis.tokens.trust import Trust, key_set_service
from gateway.app import Edge
from gateway.assembly import Assembly, Own
from gateway.browser import Browser, origin_of
from gateway.calls import ServiceToken
from gateway.contract import Contract
from gateway.health import EdgeHealth
from gateway.live.changes import kinds
from gateway.live.operations import own
from gateway.live.service import Live
from gateway.openapi import document
from gateway.operations import Bounds
from gateway.pages import pages
from gateway.principals import Principals, TokenPrincipals
from gateway.server import Server, server
from gateway.settings import EdgeSettings
from gateway.sharing import Sharing
from gateway.upstreams import Upstreams

NAME: Final = "edge"

log = structlog.get_logger()


def build(
    settings: EdgeSettings, contract: Contract, upstreams: Upstreams, *, principals: Principals, service_token: ServiceToken, own: Own
) -> tuple[Edge, EdgeHealth]:
    """Return the application and its health."""
    health = EdgeHealth(upstreams, contract.methods)
    browser = Browser(own_origin=origin_of(settings.public_url), cors_origins=settings.cors_origins)
    assembly = Assembly(contract, upstreams, browser=browser, bounds=Bounds.of(settings), service_token=service_token, own=own)
    edge = Edge(
        settings,
        routes=assembly.routes(),
        pages=pages(health, document(contract, settings.public_url)),
        browser=browser,
        principals=principals,
        health=health,
    )
    return edge, health


async def run(settings: EdgeSettings) -> None:
    """Serve until SIGTERM or SIGINT, then drain."""
    async with AsyncExitStack() as stack:
        contract = Contract(contracts.image())
        upstreams = Upstreams(settings.upstreams, [method for method in contract.methods if method.upstream != NAME])
        stack.push_async_callback(upstreams.close)
        trust = Trust.of(NAME, settings, upstreams.channel(key_set_service()))
        principals = TokenPrincipals(trust.users)
        clients = await stack.enter_async_context(Clients(settings.upstreams, trust.signer))
        openers = {each.service: remote(each.service, clients) for each in contracts.live_events()}
        broker = Broker(settings.nats_url.reveal(), name=NAME)
        live = Live(settings, trust, broker, kinds(contract), openers)
        edge, health = build(settings, contract, upstreams, principals=principals, service_token=trust.signer.token, own=own(live))
        probes = Probes(health, host=settings.host, port=settings.admin_port)
        probes.start()
        stack.push_async_callback(asyncio.to_thread, probes.stop)
        await stack.enter_async_context(task(trust.keys.keep_fresh(), name="keys"))
        await stack.enter_async_context(task(upstreams.run(trust.signer.token), name="lanes"))
        await stack.enter_async_context(task(health.watch(), name="health"))
        await stack.enter_async_context(task(live.run(), name="live"))
        await stack.enter_async_context(task(Sharing(broker, edge.limits).run(), name="sharing"))
        await serve(server(edge, settings), health, ending.asked(), drain_seconds=settings.drain_seconds, leave=live.leave)
    log.info("stopped")


async def serve(http: Server, health: EdgeHealth, ended: asyncio.Event, *, drain_seconds: float, leave: Callable[[], None]) -> None:
    """Serve until told to end; then say not ready, give load balancers time to see it, close the port and end what is in flight.

    `leave` ends at once what would never end by itself.
    """
    await http.listen()
    collecting.settle()
    health.started = True
    log.info("started", address=http.address)
    await ended.wait()
    health.draining = True
    leave()
    log.info("draining")
    await asyncio.sleep(drain_seconds)
    await http.close()


def main() -> None:
    """Read the settings and run."""
    settings = load(EdgeSettings)
    with started(NAME, settings):
        uvloop.run(run(settings))


if __name__ == "__main__":
    main()
