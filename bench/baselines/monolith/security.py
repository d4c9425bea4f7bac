"""Who calls: an ES256 access token, checked on every request."""

import json
from dataclasses import dataclass
from functools import cache
from typing import Annotated, Final
from uuid import UUID

from fastapi import Depends, HTTPException, status
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey

from bench.baselines.monolith.settings import settings

ALGORITHM: Final = "ES256"
_CLAIMS: Final = jwt.JWTClaimsRegistry(
    iss={"essential": True, "value": "bench"}, aud={"essential": True, "value": "kith"}, exp={"essential": True}, sub={"essential": True}
)
_bearer: Final = HTTPBearer()


@dataclass(frozen=True, slots=True)
class Caller:
    """The user and the tenant that the token is for."""

    user_id: UUID
    tenant_id: UUID
    permissions: frozenset[str]

    def require(self, permission: str) -> None:
        """Refuse a caller who may not do this."""
        if permission not in self.permissions:
            raise HTTPException(status.HTTP_403_FORBIDDEN, f"{permission} is missing")


def caller(credentials: Annotated[HTTPAuthorizationCredentials, Depends(_bearer)]) -> Caller:
    """Return the caller that the token names; 401 when it cannot be believed."""
    try:
        token = jwt.decode(credentials.credentials, _key(), algorithms=[ALGORITHM])
        _CLAIMS.validate(token.claims)
        return Caller(UUID(token.claims["sub"]), UUID(token.claims["tid"]), frozenset(token.claims["permissions"]))
    except (JoseError, ValueError, KeyError):
        raise HTTPException(status.HTTP_401_UNAUTHORIZED, "the token is not valid", {"WWW-Authenticate": "Bearer"}) from None


@cache
def _key() -> ECKey:
    return ECKey.import_key(json.loads(settings().public_key))


SignedIn = Annotated[Caller, Depends(caller)]
