"""Tokens of mailed links: 256 random bits, of which only the hash is kept (ID-1)."""

import re
import secrets
from hashlib import sha256
from typing import Final

PREFIX: Final = "cev_"
SECRET_BYTES: Final = 32
MAILS_A_DAY: Final = 5  # to one address, the first one counted (ID-4 says so of resets)
_FORM: Final = re.compile(rf"{PREFIX}[A-Za-z0-9_-]{{43}}")


def new_token() -> str:
    """Return a fresh token. Its prefix tells it from the tokens of other purposes, and scanners what they found."""
    return PREFIX + secrets.token_urlsafe(SECRET_BYTES)


def is_token(text: str) -> bool:
    """Say whether a text is written as tokens are; what is not costs no statement."""
    return _FORM.fullmatch(text) is not None


def hash_of(token: str) -> bytes:
    """Return what is kept of a token."""
    return sha256(token.encode()).digest()
