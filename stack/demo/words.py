"""Makes names, addresses and numbers out of word lists; the same seed makes the same ones."""

import json
import random
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

LISTS: Final = Path(__file__).with_name("words.json")
"""Colours, trees, rivers and trades, without words that people are called."""


@dataclass(frozen=True, kw_only=True)
class CompanyWords:
    """A company that does not exist; `.example` names no host (RFC 2606)."""

    name: str
    domain: str
    phone: str
    city: str


@dataclass(frozen=True, kw_only=True)
class ContactWords:
    """A person who does not exist, at one of the companies."""

    given_name: str
    family_name: str
    email: str
    phone: str
    title: str
    department: str
    source: str
    tags: list[str]
    company: int


class Words:
    """A source of invented things; two with the same seed say the same."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)  # noqa: S311 - invented names are no secrets
        self._lists: dict[str, list[str]] = json.loads(LISTS.read_text())

    def organisation(self) -> str:
        """Return a name for the demo organisation."""
        return f"{self._pick('colours')} {self._pick('trees')} {self._pick('trades')}"

    def companies(self, count: int) -> Iterator[CompanyWords]:
        """Yield companies, no two of one name."""
        pairs = [(river, trade) for river in self._lists["rivers"] for trade in self._lists["trades"]]
        for river, trade in self._random.sample(pairs, count):
            domain = f"{_plain(river)}-{_plain(trade)}.example"
            yield CompanyWords(name=f"{river} {trade}", domain=domain, phone=self._phone(), city=f"{self._pick('trees')} Bay")

    def contacts(self, count: int, companies: list[CompanyWords]) -> Iterator[ContactWords]:
        """Yield people, spread over the companies."""
        for number in range(count):
            given, family, company = self._pick("colours"), self._pick("trees"), self._random.randrange(len(companies))
            yield ContactWords(
                given_name=given,
                family_name=family,
                email=f"{_plain(given)}.{_plain(family)}.{number}@{companies[company].domain}",
                phone=self._phone(),
                title=self._pick("titles"),
                department=self._pick("departments"),
                source=self._pick("sources"),
                tags=sorted(self._random.sample(self._lists["tags"], self._random.randrange(3))),
                company=company,
            )

    def _pick(self, kind: str) -> str:
        return self._random.choice(self._lists[kind])

    def _phone(self) -> str:
        """Return a number of the block that Ofcom keeps for drama: nobody answers it."""
        return f"+44 20 7946 {self._random.randrange(1000):04d}"


def _plain(word: str) -> str:
    """Return the word for an address: lower case, no accents."""
    return unicodedata.normalize("NFKD", word).encode("ascii", "ignore").decode().lower()
