"""Tokens of mailed links: 256 random bits, of which only the hash is kept (ID-1, ID-4)."""

import re
import secrets
from hashlib import sha256
from typing import Final

SECRET_BYTES: Final = 32
MAILS_A_DAY: Final = 5  # of one purpose to one account, the first one counted (ID-4 says so of resets)


class Tokens:
    """Tokens of one purpose. The prefix tells them from those of other purposes, and scanners what they found."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self._form = re.compile(rf"{prefix}[A-Za-z0-9_-]{{43}}")

    def new(self) -> str:
        """Return a fresh token."""
        return self._prefix + secrets.token_urlsafe(SECRET_BYTES)

    def fits(self, text: str) -> bool:
        """Say whether a text is written as these tokens are; what is not costs no statement."""
        return self._form.fullmatch(text) is not None


def hash_of(token: str) -> bytes:
    """Return what is kept of a token."""
    return sha256(token.encode()).digest()
