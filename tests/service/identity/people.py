"""People who sign in, and what they are told when they may not."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import pytest
from grpc import aio

from chassis.clients.refusals import refusal
from chassis.errors import Refusal
from kith.identity.v1.auth_pb2 import Session

Metadata = tuple[tuple[str, str], ...]
From = Callable[..., Metadata]


@dataclass(frozen=True, kw_only=True)
class Owner:
    email: str
    password: str
    session: Session

    @property
    def tenant_id(self) -> str:
        return self.session.me.tenant.id

    @property
    def user_id(self) -> str:
        return self.session.me.user.id


def bearer(session: Session) -> Metadata:
    return (("authorization", f"Bearer {session.access_token}"),)


async def refused(call: Awaitable[object]) -> Refusal:
    """Return why a call is refused; fail if it is not."""
    with pytest.raises(aio.AioRpcError) as failed:
        await call
    return refusal(failed.value, "identity")
