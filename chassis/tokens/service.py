"""Service tokens: what a service shows to another one, so that nobody without an identity of the platform calls it (OPS-24)."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from cachetools import LRUCache
from joserfc.jwk import ECKey

from chassis import clock
from chassis.tokens import claims, jws
from chassis.tokens.keyset import parse

KIND: Final = "svc+jwt"
LIFETIME: Final = 300  # seconds
RENEWED: Final = 60  # seconds before its end a token is no longer handed out, so that it outlives the call
REMEMBERED: Final = 10_000  # tokens: pairs of audience and tenant here, tokens of callers there

_MARK: Final = ":"


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceToken:
    """Which service calls, and for which tenant; no tenant means for none. `expires` is in seconds since 1970."""

    service: str
    tenant_id: str
    expires: int


def new_key(service: str) -> ECKey:
    """Return a fresh private key. Its id names its service: a service's key signs for that service and for no other."""
    key = ECKey.generate_key(jws.CURVE)
    return ECKey.import_key({**key.as_dict(private=True), "kid": f"{service}{_MARK}{key.thumbprint()}", "use": "sig", "alg": jws.ALGORITHM})


def public_key_set(keys: Iterable[ECKey]) -> dict[str, Any]:
    """Return the JSON Web Key Set of some private keys' public halves."""
    return {"keys": [key.as_dict(private=False) for key in keys]}


class ServiceSigner:
    """Makes one service's tokens, and makes each only once in its time."""

    def __init__(self, *, service: str, key: ECKey) -> None:
        self._service = service
        self._key = key
        self._made: LRUCache[tuple[str, str], tuple[str, int]] = LRUCache(REMEMBERED)

    def token(self, audience: str, tenant_id: str = "") -> str:
        """Return a token for calls to a service, in the name of a tenant or of none."""
        now = int(clock.now().timestamp())
        token, expires = self._made.get((audience, tenant_id), ("", 0))
        if now + RENEWED >= expires:
            token, expires = self._sign(audience, tenant_id, now), now + LIFETIME
            self._made[audience, tenant_id] = token, expires
        return token

    def _sign(self, audience: str, tenant_id: str, now: int) -> str:
        said: dict[str, Any] = {"iss": self._service, "aud": audience, "iat": now, "nbf": now, "exp": now + LIFETIME}
        if tenant_id:
            said["tid"] = tenant_id
        return jws.sign(said, kind=KIND, key=self._key)


class ServiceVerifier:
    """Checks the tokens that other services show to this one; `key_set` holds the public keys of all of them."""

    def __init__(self, *, audience: str, key_set: bytes) -> None:
        self._audience = audience
        self._keys = parse(key_set)
        self._verified: LRUCache[str, ServiceToken] = LRUCache(REMEMBERED)

    def verify(self, token: str) -> ServiceToken:
        """Return who calls; raise Unauthenticated if any rule is broken."""
        if len(token) > jws.MAX_BYTES:
            raise jws.invalid("it is too long")
        now = int(clock.now().timestamp())
        verified = self._verified.get(token)
        if verified is None:
            verified = self._verified[token] = self._check(token, now)
        claims.check_alive(verified.expires, now=now)
        return verified

    def _check(self, token: str, now: int) -> ServiceToken:
        key_id = jws.key_id(token, kind=KIND)
        key = self._keys.get(key_id)
        if key is None:
            raise jws.invalid("its key is unknown")
        said = jws.claims(token, key)
        owner = key_id.partition(_MARK)[0]
        claims.check_origin(said, issuer=owner, audience=self._audience)
        claims.check_times(said, now=now, longest=LIFETIME)
        tenant_id = claims.identifier(said, "tid") if "tid" in said else ""
        return ServiceToken(service=owner, tenant_id=tenant_id, expires=claims.integer(said, "exp"))
