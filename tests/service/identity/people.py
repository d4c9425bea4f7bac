"""People who sign in."""

from collections.abc import Callable
from dataclasses import dataclass

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
