"""Domains of companies: one form for all the ways in which people paste them."""

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Final

import idna

from chassis.errors import Violation

MOST_TYPED: Final = 2_000

_AROUND: Final = re.compile(
    r"(?:[a-z][a-z0-9+.-]*://|//|mailto:)?(?:[^@/?#]*@)?(?P<host>[^/?#:]*)(?::[0-9]*)?(?:[/?#].*)?", re.IGNORECASE | re.DOTALL
)
_NUMBER: Final = re.compile(r"[0-9]+")


@lru_cache(maxsize=10_000)
def read(typed: str) -> str:
    """Return the domain of an address such as "https://www.Example.com/about": "example.com".

    International names are given in their Unicode form (IDNA 2008, mapped as in UTS 46), so that both spellings are one.
    Raises ValueError when it is no domain below a top-level one.
    """
    match = _AROUND.fullmatch(typed.strip())
    host = match["host"].rstrip(".") if match else ""
    try:
        domain = idna.decode(idna.encode(host, uts46=True), uts46=True)
    except (idna.IDNAError, UnicodeError) as error:
        raise ValueError(typed) from error
    bare = domain.removeprefix("www.")
    domain = bare if "." in bare else domain
    if "." not in domain or _NUMBER.fullmatch(domain.rpartition(".")[2]):
        raise ValueError(typed)
    return domain


def tidy(typed: str) -> str:
    """Return the form in which a domain is kept; what is none stays as it was typed, to be refused by `check`."""
    try:
        return read(typed[:MOST_TYPED]) if typed.strip() else ""
    except ValueError:
        return typed


def check(domain: str) -> Iterator[Violation]:
    """Yield what is wrong with a record's tidy domain."""
    if domain and not _is_domain(domain):
        yield Violation("domain", 'must be a domain such as "example.com"')


def _is_domain(text: str) -> bool:
    try:
        return bool(read(text))
    except ValueError:
        return False
