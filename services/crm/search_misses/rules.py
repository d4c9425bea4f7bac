"""Which searches count as finished, and what counts as the same search. Pure Python."""

from collections.abc import Iterable, Sequence
from datetime import timedelta
from hashlib import blake2b
from typing import Final

from services.crm.search.rules import fold, readings

SHORTEST: Final = 2
"""Letters and digits of a query at least: what is shorter is on its way to become one. Names of two characters are common."""

TYPING: Final = timedelta(seconds=5)
"""Time in which somebody goes on typing: a search that continues the one before, or takes some of it back, takes its place."""

PEOPLE: Final = 100
"""People of one entry who are told apart."""

KEPT: Final = 5_000
"""Entries of an organisation that are kept, the latest."""

_KEY_BYTES: Final = 16
_PERSON_BYTES: Final = 8


def words(query: str) -> list[str]:
    """Return the words of a query by its likeliest reading, sorted; none when it is too short to be looked for."""
    read = next(iter(readings(query)), [])
    return sorted(read) if sum(map(len, read)) >= SHORTEST else []


def continues(earlier: str, later: str) -> bool:
    """Say whether one query is the beginning of the other: somebody is still typing, or takes letters back."""
    one, other = (" ".join(fold(query).split()) for query in (earlier, later))
    return one.startswith(other) or other.startswith(one)


def key(searched: Iterable[str], kinds: Sequence[int]) -> str:
    """Return what the same words in the same kinds have in common."""
    text = "\0".join([*searched, "", *map(str, sorted(kinds))])
    return blake2b(text.encode(), digest_size=_KEY_BYTES).hexdigest()


def person(user_id: str, entry: str) -> int:
    """Return a number by which people of one entry are told apart, and that names nobody who reads the table."""
    digest = blake2b(user_id.encode(), key=bytes.fromhex(entry), digest_size=_PERSON_BYTES).digest()
    return int.from_bytes(digest, signed=True)
