"""Makes names, addresses and numbers out of word lists; the same seed makes the same ones."""

import random
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

# Colours, trees and rivers, without those that people are called.
COLOURS: Final = ["Amaranth", "Beige", "Cerulean", "Cobalt", "Copper", "Crimson", "Cyan", "Ecru", "Fawn", "Indigo", "Ivory", "Khaki", "Magenta", "Maroon", "Mauve", "Ochre", "Puce", "Russet", "Sepia", "Taupe", "Teal", "Turquoise", "Umber", "Vermilion"]
TREES: Final = ["Acacia", "Alder", "Balsa", "Baobab", "Birch", "Cedar", "Chestnut", "Cypress", "Ebony", "Elder", "Fir", "Hemlock", "Hornbeam", "Larch", "Mahogany", "Mangrove", "Maple", "Oak", "Palm", "Pine", "Poplar", "Redwood", "Sequoia", "Spruce", "Sycamore", "Tamarack", "Teak", "Walnut", "Yew"]
RIVERS: Final = ["Amazon", "Congo", "Danube", "Ebro", "Elbe", "Ganges", "Indus", "Irtysh", "Kama", "Lena", "Loire", "Mekong", "Meuse", "Murray", "Niger", "Nile", "Ob", "Oder", "Orinoco", "Paraná", "Po", "Rhine", "Rhône", "Seine", "Tagus", "Thames", "Tiber", "Tigris", "Vistula", "Volga", "Yukon", "Zambezi"]
TRADES: Final = ["Bakery", "Bindery", "Brewery", "Ceramics", "Circuits", "Dairy", "Foundry", "Freight", "Gardens", "Glass", "Instruments", "Joinery", "Laboratories", "Lighting", "Logistics", "Masonry", "Mills", "Optics", "Orchards", "Paper", "Pottery", "Press", "Robotics", "Sails", "Shipyard", "Systems", "Textiles", "Tiles", "Tools", "Turbines", "Works", "Workshop"]
TITLES: Final = (
    "Accountant",
    "Buyer",
    "Chief Executive",
    "Designer",
    "Engineer",
    "Head of Operations",
    "Head of Purchasing",
    "Office Manager",
    "Production Lead",
    "Sales Lead",
    "Technician",
)
DEPARTMENTS: Final = ["Design", "Finance", "Logistics", "Operations", "Production", "Purchasing", "Research", "Sales", "Service"]
SOURCES: Final = ["import", "referral", "trade-fair", "website"]
TAGS: Final = ["beta-tester", "newsletter", "partner", "priority", "reseller", "supplier", "trial"]


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

    def organisation(self) -> str:
        """Return a name for the demo organisation."""
        return f"{self._pick(COLOURS)} {self._pick(TREES)} {self._pick(TRADES)}"

    def companies(self, count: int) -> Iterator[CompanyWords]:
        """Yield companies, no two of one name."""
        pairs = [(river, trade) for river in RIVERS for trade in TRADES]
        for river, trade in self._random.sample(pairs, count):
            domain = f"{_plain(river)}-{_plain(trade)}.example"
            yield CompanyWords(name=f"{river} {trade}", domain=domain, phone=self._phone(), city=f"{self._pick(TREES)} Bay")

    def contacts(self, count: int, companies: list[CompanyWords]) -> Iterator[ContactWords]:
        """Yield people, spread over the companies."""
        for number in range(count):
            given, family, company = self._pick(COLOURS), self._pick(TREES), self._random.randrange(len(companies))
            yield ContactWords(
                given_name=given,
                family_name=family,
                email=f"{_plain(given)}.{_plain(family)}.{number}@{companies[company].domain}",
                phone=self._phone(),
                title=self._pick(TITLES),
                department=self._pick(DEPARTMENTS),
                source=self._pick(SOURCES),
                tags=sorted(self._random.sample(TAGS, self._random.randrange(3))),
                company=company,
            )

    def _pick(self, words: Sequence[str]) -> str:
        return self._random.choice(words)

    def _phone(self) -> str:
        """Return a number of the block that Ofcom keeps for drama: nobody answers it."""
        return f"+44 20 7946 {self._random.randrange(1000):04d}"


def _plain(word: str) -> str:
    """Return the word for an address: lower case, no accents."""
    return unicodedata.normalize("NFKD", word).encode("ascii", "ignore").decode().lower()
