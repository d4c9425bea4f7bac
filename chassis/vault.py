"""Envelope encryption: each secret under a key of its own, that key wrapped under the platform's master key.

A new master key re-wraps the small keys only; the secrets themselves are never opened for it.
"""

import base64
import binascii
import secrets
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Final, NamedTuple, Protocol, Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

KEY_BYTES: Final = 32  # AES-256
NONCE_BYTES: Final = 12  # 96 random bits, NIST SP 800-38D 8.2.2
TAG_BYTES: Final = 16
FORMAT: Final = b"\x01"
KID_BYTES: Final = 8
WRAPPED_BYTES: Final = NONCE_BYTES + KEY_BYTES + TAG_BYTES
HEAD_BYTES: Final = len(FORMAT) + KID_BYTES + WRAPPED_BYTES


class VaultError(Exception):
    """Something sealed cannot be opened: another key, other associated data, or bytes that were changed."""


class MasterKey(Protocol):
    """The key above all keys. A local file holds it by default; a key management service may stand behind the same three names."""

    @property
    def kid(self) -> bytes:
        """Return the 8 bytes that name the current key."""

    async def wrap(self, key: bytes) -> bytes:
        """Return the key encrypted under the current master key."""

    async def unwrap(self, kid: bytes, wrapped: bytes) -> bytes:
        """Return the key that was wrapped under the master key named; raise VaultError if that cannot be done."""


class LocalMasterKey:
    """A master key read from a file: base64 lines of 32 bytes, the current key first, former ones after it until all is re-wrapped."""

    def __init__(self, current: bytes, *former: bytes) -> None:
        if any(len(key) != KEY_BYTES for key in (current, *former)):
            raise VaultError(f"a master key has {KEY_BYTES} bytes")
        self._ciphers: Mapping[bytes, AESGCM] = {_name(key): AESGCM(key) for key in (current, *former)}
        self._kid = _name(current)

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read the file; raise VaultError if it does not hold such lines."""
        try:
            return cls(*(base64.b64decode(line, validate=True) for line in path.read_text("ascii").split()))
        except (binascii.Error, TypeError, UnicodeDecodeError) as error:
            raise VaultError(f"{path} holds no master key: base64 of {KEY_BYTES} bytes on a line") from error

    @property
    def kid(self) -> bytes:
        """Return the name of the current key."""
        return self._kid

    async def wrap(self, key: bytes) -> bytes:
        """Return the key encrypted under the current master key."""
        return encrypt(self._ciphers[self._kid], key, self._kid)

    async def unwrap(self, kid: bytes, wrapped: bytes) -> bytes:
        """Return the key that was wrapped under the master key named; raise VaultError if that key is not here."""
        cipher = self._ciphers.get(kid)
        if cipher is None:
            raise VaultError(f"sealed under master key {kid.hex()}, which is not here")
        return decrypt(cipher, wrapped, kid)


class Vault:
    """Seals secrets for the database. `purpose` is authenticated with them: what it is and whose, such as "mfa|<user>|v1"."""

    def __init__(self, master: MasterKey) -> None:
        self._master = master

    async def seal(self, secret: bytes, purpose: str) -> bytes:
        """Return the secret encrypted under a fresh key, with that key wrapped beside it."""
        key = secrets.token_bytes(KEY_BYTES)
        head = FORMAT + self._master.kid + await self._master.wrap(key)
        return head + encrypt(AESGCM(key), secret, purpose.encode())

    async def open(self, sealed: bytes, purpose: str) -> bytes:
        """Return the secret; raise VaultError if it was changed, sealed for another purpose, or under a key that is not here."""
        parts = _split(sealed)
        key = await self._master.unwrap(parts.kid, parts.wrapped)
        return decrypt(AESGCM(key), parts.body, purpose.encode())

    async def rewrap(self, sealed: bytes) -> bytes:
        """Return the same secret under the current master key; what is under it already comes back as it is."""
        parts = _split(sealed)
        if parts.kid == self._master.kid:
            return sealed
        key = await self._master.unwrap(parts.kid, parts.wrapped)
        return FORMAT + self._master.kid + await self._master.wrap(key) + parts.body


class _Parts(NamedTuple):
    kid: bytes
    wrapped: bytes
    body: bytes


def _split(sealed: bytes) -> _Parts:
    if len(sealed) < HEAD_BYTES + NONCE_BYTES + TAG_BYTES or not sealed.startswith(FORMAT):
        raise VaultError("these bytes were not sealed here")
    start = len(FORMAT) + KID_BYTES
    return _Parts(sealed[len(FORMAT) : start], sealed[start:HEAD_BYTES], sealed[HEAD_BYTES:])


def _name(key: bytes) -> bytes:
    """Return a key's name, from which nothing about the key can be told."""
    return sha256(b"kith master key\x00" + key).digest()[:KID_BYTES]


def encrypt(cipher: AESGCM, secret: bytes, associated: bytes) -> bytes:
    """Return the secret encrypted, behind the nonce that was drawn for it."""
    nonce = secrets.token_bytes(NONCE_BYTES)
    return nonce + cipher.encrypt(nonce, secret, associated)


def decrypt(cipher: AESGCM, sealed: bytes, associated: bytes) -> bytes:
    """Return what `encrypt` was given; raise VaultError if that cannot be done."""
    try:
        return cipher.decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], associated)
    except InvalidTag as error:
        raise VaultError("the sealed bytes were changed, or they were sealed for another purpose") from error
