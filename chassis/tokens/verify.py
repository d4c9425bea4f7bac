"""Access tokens checked offline, in the order of reference/identity.md 3.1, and remembered by their digest."""

from hashlib import sha256
from typing import Final, NamedTuple

from cachetools import LRUCache

from chassis import clock
from chassis.tokens import claims, jws
from chassis.tokens.claims import AccessToken
from chassis.tokens.keyset import KeySet
from chassis.tokens.revoked import Revoked

REMEMBERED: Final = 50_000  # tokens, some 40 MB at the most; a hit costs 3 us, a check 170 us


class _Verified(NamedTuple):
    token: AccessToken
    key_id: str


class Verifier:
    """Checks access tokens of one issuer."""

    def __init__(self, *, issuer: str, keys: KeySet, revoked: Revoked) -> None:
        self._issuer = issuer
        self._keys = keys
        self._revoked = revoked
        self._verified: LRUCache[bytes, _Verified] = LRUCache(REMEMBERED)

    async def verify(self, token: str) -> AccessToken:
        """Return what a token says. Raise Unauthenticated if any rule is broken, Unavailable if there are no keys yet.

        A remembered token is as good as a fresh one only while its key is published, its session lives and its time lasts.
        """
        if len(token) > jws.MAX_BYTES:
            raise jws.invalid("it is too long")
        digest = sha256(token.encode(errors="replace")).digest()
        verified = self._verified.get(digest)
        now = int(clock.now().timestamp())
        if verified is None or verified.key_id not in self._keys:
            verified = await self._check(token, now)
            self._verified[digest] = verified
        if verified.token.session_id in self._revoked:
            raise jws.invalid("its session ended")
        claims.check_alive(verified.token.expires, now=now)
        return verified.token

    async def _check(self, token: str, now: int) -> _Verified:
        key_id = jws.key_id(token, kind=claims.KIND)
        said = jws.claims(token, await self._keys.find(key_id))
        claims.check_origin(said, issuer=self._issuer, audience=claims.AUDIENCE)
        claims.check_times(said, now=now, longest=claims.MAX_LIFETIME)
        return _Verified(AccessToken.of(said), key_id)
