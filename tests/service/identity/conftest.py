"""The doors of identity, and people who come through them from an address of their own."""

import secrets
from collections.abc import Awaitable, Callable
from typing import Any

import psycopg
import pytest
from psycopg.rows import DictRow, dict_row

from kith.identity.v1.auth_pb2 import RegisterRequest
from kith.identity.v1.auth_pb2_grpc import AuthServiceStub
from kith.identity.v1.me_pb2_grpc import MeServiceStub
from kith.identity.v1.members_pb2_grpc import MemberServiceStub
from kith.identity.v1.tenants_pb2_grpc import TenantServiceStub
from tests.conftest import AdminDsn, Channel, ServiceToken
from tests.patience import SECONDS
from tests.service.identity.people import From, Owner

PASSWORD = "correct horse battery staple"

Rows = Callable[..., Awaitable[list[DictRow]]]
NewOwner = Callable[..., Awaitable[Owner]]


@pytest.fixture(scope="session")
def auth(channel: Channel) -> AuthServiceStub:
    return AuthServiceStub(channel("identity"))


@pytest.fixture(scope="session")
def me(channel: Channel) -> MeServiceStub:
    return MeServiceStub(channel("identity"))


@pytest.fixture(scope="session")
def members(channel: Channel) -> MemberServiceStub:
    return MemberServiceStub(channel("identity"))


@pytest.fixture(scope="session")
def tenants(channel: Channel) -> TenantServiceStub:
    return TenantServiceStub(channel("identity"))


@pytest.fixture(scope="session")
def coming_from(service_token: ServiceToken) -> From:
    """`coming_from(address)` is the metadata that the edge sends for a caller there; without an address, at a new one."""

    def metadata(address: str = "") -> tuple[tuple[str, str], ...]:
        own = address or f"2001:db8:{secrets.randbelow(65536):x}:{secrets.randbelow(65536):x}::1"
        return ("x-kith-service", service_token("identity")), ("x-kith-client-ip", own)

    return metadata


@pytest.fixture(scope="session")
def new_owner(auth: AuthServiceStub, coming_from: From) -> NewOwner:
    """`await new_owner()` registers an organisation; keywords replace fields of the request."""

    async def make(metadata: Any = None, **fields: str) -> Owner:
        said = {
            "organisation": "Blue Lantern Works",
            "email": f"owner-{secrets.token_hex(8)}@example.com",
            "password": PASSWORD,
            "name": "Test Owner",
            **fields,
        }
        session = await auth.Register(RegisterRequest(**said), metadata=metadata or coming_from(), timeout=SECONDS)
        return Owner(email=said["email"], password=said["password"], session=session)

    return make


@pytest.fixture
async def owner(new_owner: NewOwner) -> Owner:
    return await new_owner()


@pytest.fixture(scope="session")
def rows(admin_dsn: AdminDsn) -> Rows:
    """`await rows(sql, ...)` looks into the database, or changes it, past every rule of the service."""

    async def run(sql: str, *parameters: Any) -> list[DictRow]:
        async with await psycopg.AsyncConnection.connect(admin_dsn("identity"), row_factory=dict_row) as connection:
            cursor = await connection.execute(sql.encode(), parameters)
            return await cursor.fetchall() if cursor.description else []

    return run
