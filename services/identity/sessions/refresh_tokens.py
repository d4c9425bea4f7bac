"""Refresh tokens: a chain of secrets per family, each computed from the one before with a key that the database does not hold.

No token is stored. A row knows only the hash of the newest secret, so a stolen row yields no token; and since every old secret leads to the
newest, a token that was once ours can be told from one that never was.
"""

import hmac
import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode
from hashlib import sha256
from struct import Struct
from typing import Final, NamedTuple, Self

PREFIX: Final = "crt_"
SECRET_BYTES: Final = 32
CHECK_BYTES: Final = 4
_BODY: Final = Struct(f">16sI{SECRET_BYTES}s")
_STEP: Final = Struct(">16sI")
_TEXT_LENGTH: Final = len(PREFIX) + -(-(_BODY.size + CHECK_BYTES) * 4 // 3)


class RefreshToken(NamedTuple):
    """One link of a family's chain. As text: "crt_" and base64url of family, generation, secret and a checksum."""

    family: bytes
    generation: int
    secret: bytes

    @classmethod
    def first(cls, family: bytes) -> Self:
        """Return the first token of a new family."""
        return cls(family, 0, secrets.token_bytes(SECRET_BYTES))

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """Return the token, or None for everything that is not exactly how a token is written."""
        if len(text) != _TEXT_LENGTH or not text.startswith(PREFIX) or not text.isascii():
            return None
        encoded = text.removeprefix(PREFIX)
        try:
            raw = urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4))
        except ValueError:
            return None
        body, check = raw[:-CHECK_BYTES], raw[-CHECK_BYTES:]
        if len(body) != _BODY.size or check != _check(body):
            return None
        token = cls(*_BODY.unpack(body))
        return token if token.text() == text else None

    def text(self) -> str:
        """Return the token as it is sent."""
        body = _BODY.pack(*self)
        return PREFIX + urlsafe_b64encode(body + _check(body)).rstrip(b"=").decode()

    def successor(self, key: bytes) -> Self:
        """Return the next link of the chain: the same one whoever computes it, and whenever."""
        generation = self.generation + 1
        step = hmac.digest(key, _STEP.pack(self.family, generation) + self.secret, "sha256")
        return self._replace(generation=generation, secret=step)

    def advanced(self, key: bytes, generation: int) -> Self:
        """Return the link of a later generation."""
        token = self
        while token.generation < generation:
            token = token.successor(key)
        return token

    def secret_hash(self) -> bytes:
        """Return what the database keeps of the token."""
        return sha256(self.secret).digest()


def _check(body: bytes) -> bytes:
    """Return the checksum that lets garbage cost no query."""
    return sha256(PREFIX.encode() + body).digest()[:CHECK_BYTES]
