"""Texts: what may stand in one, how long it may be, and the folded form that it is sorted and matched by."""

import re
import unicodedata
from collections.abc import Iterator
from typing import Final

from chassis.errors import Violation

FOLDED_LENGTH: Final = 200
"""Characters of a sort key; a longer one would not fit into an index entry (a third of an 8 KiB page)."""

_UNSTORABLE: Final = re.compile("[\0\ud800-\udfff]")
"""PostgreSQL holds no NUL, and UTF-8 no lone surrogate."""


def check(field: str, value: str, most: int, *, least: int = 0) -> Iterator[Violation]:
    """Yield what is wrong with a text."""
    if len(value) > most:
        yield Violation(field, f"must have at most {most:,} characters")
    elif len(value) < least:
        yield Violation(field, "must not be empty")
    elif not value.isprintable() and _UNSTORABLE.search(value):
        yield Violation(field, "must not contain NUL characters or lone surrogates")


def check_count(field: str, count: int, most: int) -> Iterator[Violation]:
    """Yield what is wrong with the length of a list."""
    if count > most:
        yield Violation(field, f"must have at most {most} entries")


def fold(text: str) -> str:
    """Return the text without case, accents and surplus spaces: "  Ängström" and "angstrom " are the same."""
    return " ".join(unicodedata.normalize("NFKC", bare(text)).split())[:FOLDED_LENGTH]


def bare(text: str) -> str:
    """Return the text without case and accents, character by character."""
    folded = text.casefold()
    if folded.isascii():
        return folded
    decomposed = unicodedata.normalize("NFKD", folded)
    return "".join(character for character in decomposed if not unicodedata.combining(character)).casefold()
