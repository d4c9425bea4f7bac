"""Postal addresses: limits of their parts, and regions that exist."""

from collections.abc import Iterator
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Final

from chassis import texts
from chassis.errors import Violation

if TYPE_CHECKING:
    from kith.crm.v1.parts_pb2 import Address

MOST_LINES: Final = 5
LINE_LENGTH: Final = 200
LENGTHS: Final = {"city": 100, "state": 100, "postal_code": 20}


@cache
def regions() -> frozenset[str]:
    """Return the codes of ISO 3166-1 alpha-2, as the time zone database lists them."""
    table = resources.files("tzdata").joinpath("zoneinfo", "iso3166.tab").read_text("utf-8")
    return frozenset(line[:2] for line in table.splitlines() if not line.startswith("#"))


def tidy(address: "Address") -> None:
    """Drop surrounding spaces and empty lines, and write the region in capitals."""
    lines = [line.strip() for line in address.lines if line.strip()]
    address.ClearField("lines")
    address.lines.extend(lines)
    for name in LENGTHS:
        setattr(address, name, getattr(address, name).strip())
    address.region = address.region.strip().upper()


def check(address: "Address") -> Iterator[Violation]:
    """Yield what is wrong with an address."""
    yield from texts.check_count("address.lines", len(address.lines), MOST_LINES)
    for index, line in enumerate(address.lines[:MOST_LINES]):
        yield from texts.check(f"address.lines[{index}]", line, LINE_LENGTH)
    for name, most in LENGTHS.items():
        yield from texts.check(f"address.{name}", getattr(address, name), most)
    if address.region and address.region not in regions():
        yield Violation("address.region", "must be a country code of ISO 3166-1 alpha-2")
