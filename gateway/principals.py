"""Whom a call is counted for: the edge reads the token for its limits only, the service decides what it is worth."""

from typing import NamedTuple, Protocol

from chassis.errors import Refusal
from chassis.tokens.bearer import bearer
from chassis.tokens.verify import Verifier


class Principal(NamedTuple):
    """The member of a tenant that a valid token names."""

    tenant_id: str
    user_id: str


class Principals(Protocol):
    """Knows principals by their Authorization header."""

    async def principal(self, authorization: str | None) -> Principal | None:
        """Return the principal, None if there is no token or it is not valid."""


class TokenPrincipals:
    """Principals by access token, checked offline."""

    def __init__(self, verifier: Verifier) -> None:
        self._verifier = verifier

    async def principal(self, authorization: str | None) -> Principal | None:
        """Return the principal of a valid token. Why another one is not valid, the service says."""
        if authorization is None:
            return None
        try:
            token = bearer([authorization])
            verified = await self._verifier.verify(token) if token else None
        except Refusal:
            return None
        return Principal(verified.tenant_id, verified.user_id) if verified else None
