"""The keys: one for the personal data of each record, wrapped in its service's database under the service's root key."""

import secrets
from collections.abc import Iterable, Mapping
from hashlib import sha256
from time import monotonic
from typing import Final, NamedTuple, Self

from cachetools import LRUCache, TTLCache
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from chassis.vault import KEY_BYTES, decrypt, encrypt

ID_BYTES: Final = 8
REMEMBERED: Final = 10_000  # keys that a process holds opened, some 5 MB
FORGOTTEN: Final = 300.0  # seconds after which nobody holds a key any more that was destroyed
FRESH: Final = 10.0  # of them, in which a process gives a key away again without a look whether it is still there


def label(*, kind: str, tenant_id: str, subject: str) -> bytes:
    """Return what is authenticated with sealed data: the type of the event that it belongs into, and the record that it is about."""
    return f"event|{kind}|{tenant_id}|{subject}".encode()


class SubjectKey:
    """One record's key. Its id stands in front of what it sealed: a record whose key was destroyed may get another one."""

    __slots__ = ("id", "secret")

    def __init__(self, secret: bytes) -> None:
        self.secret = secret
        self.id = sha256(b"kith subject key\x00" + secret).digest()[:ID_BYTES]

    @classmethod
    def new(cls) -> Self:
        """Return a fresh key."""
        return cls(secrets.token_bytes(KEY_BYTES))

    def seal(self, personal: bytes, associated: bytes) -> bytes:
        """Return the data encrypted: the key's id, a nonce, AES-256-GCM."""
        return self.id + encrypt(AESGCM(self.secret), personal, associated)

    def open(self, sealed: bytes, associated: bytes) -> bytes:
        """Return the data; raise VaultError if it was changed or sealed for another place."""
        return decrypt(AESGCM(self.secret), sealed[ID_BYTES:], associated)


class RootKey:
    """The key that a service's subject keys are wrapped under, each for its place alone. All its processes have the same one."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret
        self._cipher = AESGCM(secret)

    def derive(self, purpose: str) -> bytes:
        """Return a key for another purpose, from which neither this one nor those of other purposes can be told (RFC 5869)."""
        return HKDF(SHA256(), KEY_BYTES, salt=None, info=purpose.encode()).derive(self._secret)

    def wrap(self, key: SubjectKey, tenant_id: str, subject: str) -> bytes:
        """Return the key as it is kept."""
        return encrypt(self._cipher, key.secret, _place(tenant_id, subject))

    def unwrap(self, wrapped: bytes, tenant_id: str, subject: str) -> SubjectKey:
        """Return the key; raise VaultError if it was changed or kept for another record."""
        return SubjectKey(decrypt(self._cipher, wrapped, _place(tenant_id, subject)))


def _place(tenant_id: str, subject: str) -> bytes:
    return f"{tenant_id}|{subject}".encode()


class _Opened(NamedTuple):
    """A key, and when it was known to be there."""

    key: SubjectKey
    at: float


class Memory:
    """What one process of a service knows of its keys: the root, opened keys for a while, and records whose first key may be there."""

    def __init__(self, root: RootKey) -> None:
        self.root = root
        self._opened: TTLCache[tuple[str, str], _Opened] = TTLCache(REMEMBERED, FORGOTTEN)
        self._doubtful: LRUCache[tuple[str, str], None] = LRUCache(REMEMBERED)

    def get(self, tenant_id: str, subject: str) -> SubjectKey | None:
        """Return a record's key if it is remembered."""
        opened = self._opened.get((tenant_id, subject))
        return opened.key if opened else None

    def fresh(self, tenant_id: str, subjects: Iterable[str]) -> dict[str, SubjectKey]:
        """Return the keys that were made or found a moment ago: those that others ask for as soon as they hear of a write."""
        since = monotonic() - FRESH
        return {each: opened.key for each in subjects if (opened := self._opened.get((tenant_id, each))) and opened.at > since}

    def keep(self, tenant_id: str, keys: Mapping[str, SubjectKey]) -> None:
        """Remember keys that are committed."""
        now = monotonic()
        for subject, key in keys.items():
            self._opened[tenant_id, subject] = _Opened(key, now)

    def forget(self, tenant_id: str, subjects: Iterable[str]) -> None:
        """Forget keys that are destroyed."""
        for subject in subjects:
            self._opened.pop((tenant_id, subject), None)

    def doubt(self, tenant_id: str, subjects: Iterable[str]) -> None:
        """Look before the next first key of a record is made: the last try may have failed because there was one."""
        for subject in subjects:
            self._doubtful[tenant_id, subject] = None

    def is_doubtful(self, tenant_id: str, subject: str) -> bool:
        """Say whether to look."""
        return (tenant_id, subject) in self._doubtful
