"""Permission sets: bit N of a number is permission N of the contract. In a token: little-endian bytes as base64url."""

import base64
import binascii
from collections.abc import Iterable, Iterator
from typing import Final

MAX_TEXT: Final = 128  # characters, room for 768 permissions

NONE: Final = 0


def of(numbers: Iterable[int]) -> int:
    """Return the set of some permissions; ValueError for 0, which is never granted."""
    bits = NONE
    for number in numbers:
        if number <= 0:
            raise ValueError(f"{number} is no permission")
        bits |= 1 << number
    return bits


def numbers(bits: int) -> Iterator[int]:
    """Yield the permissions of a set in rising order."""
    return (number for number in range(1, bits.bit_length()) if bits >> number & 1)


def has(bits: int, number: int) -> bool:
    """Say whether a set holds a permission; 0 is held by nobody."""
    return number > 0 and bool(bits >> number & 1)


def encode(bits: int) -> str:
    """Return the text of a set; the empty set is the empty text."""
    raw = bits.to_bytes((bits.bit_length() + 7) // 8, "little")
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def decode(text: str) -> int:
    """Return the set of a text that `encode` made; ValueError for any other."""
    if len(text) > MAX_TEXT:
        raise ValueError("too many permissions")
    try:
        raw = base64.urlsafe_b64decode(text.encode("ascii") + b"=" * (-len(text) % 4))
    except binascii.Error as error:
        raise ValueError("not base64url") from error
    bits = int.from_bytes(raw, "little")
    if encode(bits) != text or bits & 1:
        raise ValueError("not a canonical permission set")
    return bits
