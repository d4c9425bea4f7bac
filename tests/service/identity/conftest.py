"""The doors of identity, and people who come through them from an address of their own."""

import asyncio
import secrets
from collections.abc import Awaitable, Callable
from typing import Any

import psycopg
import pytest
from google.protobuf.empty_pb2 import Empty
from psycopg.rows import DictRow, dict_row

from kith.identity.v1.auth_pb2 import RefreshRequest, RegisterRequest, SignInRequest
from kith.identity.v1.auth_pb2_grpc import AuthServiceStub
from kith.identity.v1.me_pb2_grpc import MeServiceStub
from kith.identity.v1.members_pb2_grpc import MemberServiceStub
from kith.identity.v1.passwords_pb2 import ChangePasswordRequest, RequestPasswordResetRequest, ResetPasswordRequest
from kith.identity.v1.passwords_pb2_grpc import PasswordServiceStub
from kith.identity.v1.tenants_pb2_grpc import TenantServiceStub
from tests.conftest import AdminDsn, Channel, ServiceToken
from tests.patience import SECONDS
from tests.service.calls import refused
from tests.service.identity.mailbox import Mailbox
from tests.service.identity.people import From, Owner, bearer
from tests.service.identity.replacing import NEXT
from tests.unit.chassis.moving import eventually

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


@pytest.fixture(scope="session")
def mailbox(platform) -> Mailbox:
    return Mailbox(platform.layout.mail)


@pytest.fixture(scope="session")
def passwords(channel) -> PasswordServiceStub:
    return PasswordServiceStub(channel("identity"))


@pytest.fixture(scope="session")
def ask(passwords, coming_from):
    """`await ask(email)` asks for a link, from an address of its own unless metadata says otherwise."""

    def call(email, metadata=None):
        request = RequestPasswordResetRequest(email=email)
        return passwords.RequestPasswordReset(request, metadata=metadata or coming_from(), timeout=SECONDS)

    return call


@pytest.fixture(scope="session")
def reset(passwords, coming_from):
    def call(token, password=NEXT, metadata=None):
        request = ResetPasswordRequest(token=token, password=password)
        return passwords.ResetPassword(request, metadata=metadata or coming_from(), timeout=SECONDS)

    return call


@pytest.fixture(scope="session")
def change(passwords):
    def call(session, old, new=NEXT):
        request = ChangePasswordRequest(current_password=old, new_password=new)
        return passwords.ChangePassword(request, metadata=bearer(session), timeout=SECONDS)

    return call


@pytest.fixture(scope="session")
def sign_in(auth, coming_from):
    def call(owner, password):
        return auth.SignIn(SignInRequest(email=owner.email, password=password), metadata=coming_from(), timeout=SECONDS)

    return call


@pytest.fixture(scope="session")
def link(ask, mailbox):
    """`await link(owner)` asks for a link and returns the token in it; the first mail of all verifies the address."""

    async def run(owner: Owner, number: int = 1) -> str:
        await ask(owner.email)
        return await mailbox.token(owner.email, number + 1)

    return run


@pytest.fixture
def is_over(auth, me):
    """`await is_over(session)` returns when neither token of a session is worth anything."""

    async def run(session) -> None:
        token = RefreshRequest(refresh_token=session.refresh_token)
        assert (await refused(auth.Refresh(token, timeout=SECONDS))).reason == "SESSION_INVALID"

        async def is_refused() -> bool:
            answer = (await asyncio.gather(me.GetMe(Empty(), metadata=bearer(session)), return_exceptions=True))[0]
            return isinstance(answer, Exception)

        await eventually(is_refused, pause=0.05)  # its access token would last ten minutes

    return run
