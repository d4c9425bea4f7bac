"""What tests stand on: the session's platform, tenants of their own, and the ways in."""

import secrets
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Generator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any

import httpx
import hypothesis
import pytest
from grpc import aio
from nats.aio.client import Client
from psycopg.conninfo import make_conninfo

from chassis import names
from chassis.tokens.service import ServiceSigner
from kith.identity.v1 import members_pb2, members_pb2_grpc
from stack.keys import load_key
from stack.operator_client import connect
from stack.topology import EDGE, OPERATOR
from stack.wiring import Wiring
from tests import patience, running

# An example takes as long as the machine does; the time of one says nothing.
hypothesis.settings.register_profile("any machine", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.load_profile("any machine")


def pytest_configure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):
        running.prepare_session()


@pytest.hookimpl(wrapper=True, trylast=True)
def pytest_runtestloop(session: pytest.Session) -> Generator[None, object, object]:
    """Stop the platform before coverage is gathered: its processes write theirs when they end."""
    try:
        return (yield)
    finally:
        if not hasattr(session.config, "workerinput"):
            running.end_session()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(call: pytest.CallInfo[None]) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show beside a failure what the platform's processes logged as errors meanwhile: a caller is told nothing of it."""
    report = yield
    if report.failed and (errors := running.errors_since(call.start)):
        report.sections.append(("errors in the logs of the platform", "\n".join(errors)))
    return report


def pytest_unconfigure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):
        running.end_session()


@dataclass(frozen=True, kw_only=True)
class Person:
    """Somebody who is signed in."""

    tenant_id: str
    user_id: str
    email: str
    password: str
    token: str
    session: dict[str, Any]

    @property
    def headers(self) -> dict[str, str]:
        return {"authorization": f"Bearer {self.token}"}

    @property
    def metadata(self) -> tuple[tuple[str, str], ...]:
        return (("authorization", f"Bearer {self.token}"),)


Register = Callable[..., Awaitable[Person]]
Join = Callable[[Person, str], Awaitable[Person]]
Channel = Callable[[str], aio.Channel]
ServiceToken = Callable[..., str]
Dsn = Callable[[str, str], str]
AdminDsn = Callable[[str], str]


@pytest.fixture(scope="session")
def platform() -> Wiring:
    """The session's platform: addresses, credentials, folders."""
    return running.shared()


@pytest.fixture(scope="session")
async def edge(platform: Wiring) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the edge."""
    async with patience.client(f"http://{platform.address(EDGE.name)}") as client:
        yield client


@pytest.fixture(scope="session")
def register(edge: httpx.AsyncClient) -> Register:
    """`await register()` returns the owner of a fresh organisation; keywords replace fields of the request."""

    async def make(**fields: str) -> Person:
        body = {
            "organisation": f"Organisation {uuid.uuid4().hex[:8]}",
            "email": f"owner-{uuid.uuid4().hex}@example.com",
            "password": secrets.token_urlsafe(24),
            "name": "Test Owner",
            "region": "GB",
            **fields,
        }
        answer = await edge.post("/v1/auth:register", json=body)
        assert answer.is_success, answer.text
        return _person(answer.json(), body["email"], body["password"])

    return make


@pytest.fixture(scope="session")
def join(edge: httpx.AsyncClient, channel: Channel, service_token: ServiceToken) -> Join:
    """`await join(owner, "read_only")` returns a signed-in member of the owner's organisation with that role."""
    stub = members_pb2_grpc.MemberServiceStub(channel("identity"))

    async def make(owner: Person, role: str) -> Person:
        email, password = f"{role}-{uuid.uuid4().hex}@example.com".replace("_", "-"), secrets.token_urlsafe(24)
        wanted = members_pb2.Member(email=email, name="Test Member", role=members_pb2.Role.Value(f"ROLE_{role.upper()}"))
        metadata = (("x-kith-service", service_token("identity", owner.tenant_id)),)
        await stub.CreateMember(
            members_pb2.CreateMemberRequest(member=wanted, password=password), metadata=metadata, timeout=patience.SECONDS
        )
        answer = await edge.post("/v1/auth:signIn", json={"email": email, "password": password})
        assert answer.is_success, answer.text
        return _person(answer.json(), email, password)

    return make


def _person(session: dict[str, Any], email: str, password: str) -> Person:
    me = session["me"]
    return Person(
        tenant_id=me["tenant"]["id"],
        user_id=me["user"]["id"],
        email=email,
        password=password,
        token=session["accessToken"],
        session=session,
    )


@pytest.fixture(scope="session")
async def channel(platform: Wiring) -> AsyncIterator[Channel]:
    """`channel("crm")` returns a gRPC channel to a service."""
    opened: dict[str, aio.Channel] = {}
    async with AsyncExitStack() as stack:

        def to(service: str) -> aio.Channel:
            if service not in opened:
                opened[service] = aio.insecure_channel(platform.address(service))
                stack.push_async_callback(opened[service].close)
            return opened[service]

        yield to


@pytest.fixture(scope="session")
def service_token(platform: Wiring) -> ServiceToken:
    """`service_token("crm", tenant_id)` returns a token with which the operator's tools, or the process named by `by`, call a service."""

    def token(audience: str, tenant_id: str = "", *, by: str = OPERATOR) -> str:
        return ServiceSigner(service=by, key=load_key(platform.secrets.service_key(by))).token(audience, tenant_id)

    return token


@pytest.fixture(scope="session")
def dsn(platform: Wiring) -> Dsn:
    """`dsn("crm", "runtime")` returns a connection string; the roles are runtime, system and migrator."""
    return platform.dsn


@pytest.fixture(scope="session")
def admin_dsn(platform: Wiring) -> AdminDsn:
    """`admin_dsn("crm")` returns the superuser's connection string to a service's database."""
    return lambda service: make_conninfo(platform.admin_dsn(), dbname=names.database(service))


@pytest.fixture(scope="session")
async def nats_admin(platform: Wiring) -> AsyncIterator[Client]:
    """A connection to NATS that may do everything."""
    async with await connect(platform.nats_url(OPERATOR)) as connection:
        yield connection
