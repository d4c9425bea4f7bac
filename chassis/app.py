"""A service as a process: settings, checks, server, events and jobs come up in order, and go down in the reverse order."""

import asyncio
from base64 import b64decode
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import structlog
import uvloop
from google.protobuf.message import Message
from grpc import aio

from chassis import collecting, contract, ending, pages, server
from chassis.background import task
from chassis.clients import Clients
from chassis.clients.clients import OPTIONS
from chassis.contract import ContractError
from chassis.database import Database, root_key
from chassis.environment import load
from chassis.events import foreign_keys, subject_keys
from chassis.events.broadcast import Broadcast
from chassis.events.broker import Broker
from chassis.events.consumer import Consumer, consumers
from chassis.events.handling import Handler
from chassis.events.relay import Relay
from chassis.events.subject_keys import SubjectKeyService
from chassis.interceptors.chain import Chain, Stage
from chassis.interceptors.deadline import Deadline
from chassis.interceptors.errors import Errors
from chassis.interceptors.idempotency import Idempotency
from chassis.interceptors.identity import Identity
from chassis.interceptors.policy import Policy
from chassis.interceptors.telemetry import Telemetry
from chassis.jobs import Job, Jobs
from chassis.jobs.purge import Purge
from chassis.sealing.keys import Memory, RootKey
from chassis.settings import ServiceSettings
from chassis.telemetry.health import Check, Health
from chassis.telemetry.probes import Probes
from chassis.telemetry.setup import started
from chassis.tokens.trust import Trust, key_set_service
from chassis.trail.check import AuditTrailService
from chassis.trail.sealer import Sealer
from chassis.vault import LocalMasterKey, Vault

log = structlog.get_logger()
S = TypeVar("S", bound=ServiceSettings)


@dataclass(frozen=True, slots=True, kw_only=True)
class Platform(Generic[S]):
    """What the chassis hands to a service that comes up."""

    settings: S
    database: Database
    clients: Clients
    vault: Vault


@dataclass(frozen=True, slots=True, kw_only=True)
class Wiring:
    """What a service brings: its RPCs, what it does on events, what it does by the clock."""

    servicers: Sequence[object] = ()
    handlers: Sequence[Mapping[type[Message], Handler]] = ()
    jobs: Sequence[Job] = ()


Wire = Callable[[Platform[S]], AbstractAsyncContextManager[Wiring]]


@asynccontextmanager
async def nothing_yet(_: Platform[Any]) -> AsyncIterator[Wiring]:
    """Wire a service without rooms: a process with health and a database of its own."""
    yield Wiring()


class App(Generic[S]):
    """One service. `wire` opens what the rooms need and yields them; it is closed after the last call."""

    def __init__(self, name: str, wire: Wire[S], settings: type[S]) -> None:
        self._name = name
        self._wire = wire
        self._settings = load(settings)

    def run(self) -> None:
        """Serve until SIGTERM or SIGINT; exit 1 when the contract leaves something open."""
        with started(self._name, self._settings):
            try:
                uvloop.run(self._serve())
            except ContractError as error:
                log.error("contract_incomplete", why=str(error))  # noqa: TRY400 - the text says it all
                raise SystemExit(1) from None

    async def _serve(self) -> None:
        """Come up from the bottom, wait, and let the stack go down: events and jobs first, then calls, then what they stand on."""
        settings = self._settings
        pages.use_key(b64decode(settings.page_key_file.read_bytes()))
        system_dsn = settings.system_dsn.reveal()
        async with AsyncExitStack() as stack:
            enter = stack.enter_async_context
            vault = Vault(LocalMasterKey.read(settings.master_key_file))
            keys = Memory(await root_key.load(system_dsn, vault, self._name))
            database = await enter(Database(settings.database_dsn.reveal(), size=settings.database_pool, keys=keys))
            trust = await self._trust(stack)
            broker = await enter(Broker(settings.nats_url.reveal(), name=self._name))
            await enter(Broadcast(broker, contract.session_ended(), trust.end_session))
            clients = await enter(Clients({self._name: f"{settings.host}:{settings.port}", **settings.upstreams}, trust.signer))
            wiring = await enter(self._wire(Platform(settings=settings, database=database, clients=clients, vault=vault)))
            health = await self._health(stack, {"database": database.ping, "nats": broker.ping, "keys": trust.keys.check})
            await enter(Relay(broker, service=self._name, dsn=system_dsn))
            serving = await enter(self._server(wiring, trust, database, keys.root))
            for consumer in self._consumers(broker, wiring, database, clients):
                await enter(consumer)
            await enter(Sealer(clients, dsn=system_dsn))
            await enter(Jobs([*Purge(system_dsn).jobs(), *wiring.jobs], service=self._name, database=database, dsn=system_dsn))
            ended = ending.asked()  # until here a signal kills: coming up may take as long as NATS does, and nothing is in flight
            collecting.settle()
            health.started = True
            log.info("started", address=f"{settings.host}:{settings.port}")
            await ended.wait()
            log.info("draining")
            health.draining = True
            await serving.refuse()
            await asyncio.sleep(settings.drain_seconds)
        log.info("stopped")

    def _consumers(self, broker: Broker, wiring: Wiring, database: Database, clients: Clients) -> list[Consumer]:
        return consumers(
            broker,
            service=self._name,
            handlers=wiring.handlers,
            database=database,
            opener=lambda source: subject_keys.local() if source == self._name else foreign_keys.remote(source, clients),
            dsn=self._settings.system_dsn.reveal(),
        )

    def _server(self, wiring: Wiring, trust: Trust, database: Database, root: RootKey) -> server.Server:
        settings = self._settings
        servicers = [*wiring.servicers, SubjectKeyService(self._name), AuditTrailService(self._name)]
        return server.Server(
            servicers,
            Chain(self._stages(trust, root), database),
            address=f"{settings.host}:{settings.port}",
            concurrent_calls=settings.concurrent_calls,
            grace=settings.grace_seconds,
            carrier_port=settings.carrier_port,
        )

    async def _trust(self, stack: AsyncExitStack) -> Trust:
        own = f"{self._settings.host}:{self._settings.port}"
        target = own if self._name == key_set_service() else self._settings.upstreams[key_set_service()]
        channel = await stack.enter_async_context(aio.insecure_channel(target, options=OPTIONS))
        trust = Trust.of(self._name, self._settings, channel)
        await stack.enter_async_context(task(trust.keys.keep_fresh(), name="keys"))
        return trust

    async def _health(self, stack: AsyncExitStack, checks: Mapping[str, Check]) -> Health:
        health = Health(checks)
        await stack.enter_async_context(task(health.watch(), name="health"))
        probes = Probes(health, host=self._settings.host, port=self._settings.admin_port)
        probes.start()
        stack.callback(probes.stop)
        return health

    def _stages(self, trust: Trust, root: RootKey) -> list[Stage]:
        identity = Identity(trust.users, trust.services)
        idempotency = Idempotency(root.derive("idempotency"))
        return [Telemetry(), Errors(), Deadline(self._settings.default_deadline), identity, Policy(), idempotency]
