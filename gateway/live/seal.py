"""Texts that the edge gives away and takes back: nobody else can read, change or make one."""

import base64
import binascii
import json
from pathlib import Path
from typing import Any, Final, Self

import orjson
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

KEY_BYTES: Final = 64  # AES-256-SIV (RFC 5297): the same value always makes the same text, and no nonce can be used twice
_PURPOSE: Final = b"kith live"


class SealError(ValueError):
    """A text that was not sealed here, or for another purpose."""


class Seal:
    """Seals values with a key of the edge's own, so that each of its processes opens what another one sealed."""

    def __init__(self, secret: bytes) -> None:
        self._cipher = AESSIV(HKDF(SHA256(), KEY_BYTES, salt=None, info=_PURPOSE).derive(secret))

    @classmethod
    def of(cls, key_file: Path) -> Self:
        """Return the seal that goes with the edge's private key (JWK)."""
        return cls(json.loads(key_file.read_bytes())["d"].encode())

    def close(self, value: Any, *purpose: str) -> str:
        """Return a JSON value as a text for this purpose, such as ("event", a tenant's id)."""
        sealed = self._cipher.encrypt(orjson.dumps(value), [each.encode() for each in purpose])
        return base64.urlsafe_b64encode(sealed).rstrip(b"=").decode()

    def open(self, text: str, *purpose: str) -> Any:
        """Return the value; raise SealError if the text was not made by `close` for the same purpose."""
        try:
            sealed = base64.urlsafe_b64decode(text.encode("ascii") + b"=" * (-len(text) % 4))
            return orjson.loads(self._cipher.decrypt(sealed, [each.encode() for each in purpose]))
        except (binascii.Error, UnicodeEncodeError, InvalidTag, ValueError) as error:
            raise SealError("not sealed here") from error
