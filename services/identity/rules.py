"""What names, locales, time zones, regions and email addresses look like, for organisations and people alike (ID-1)."""

import re
import unicodedata
from collections.abc import Iterator
from functools import cache
from importlib import resources
from typing import Final, NamedTuple
from zoneinfo import available_timezones

from email_validator import EmailNotValidError, validate_email

from chassis.errors import Violation

NAME_LENGTH: Final = 200
DEFAULT_LOCALE: Final = "en"
DEFAULT_TIME_ZONE: Final = "UTC"
_FORBIDDEN: Final = frozenset({"Cc", "Cs", "Zl", "Zp"})  # controls, surrogates, line and paragraph separators
# RFC 5646, section 2.1: language, script, region; the rarer subtags have no meaning for us.
_LOCALE: Final = re.compile(r"[a-z]{2,3}(-[A-Z][a-z]{3})?(-([A-Z]{2}|[0-9]{3}))?")


class Email(NamedTuple):
    """An email address as it is shown, and as it is compared: letters of one case, one Unicode form."""

    address: str
    key: str


NO_EMAIL: Final = Email("", "")
NOBODY: Final = "00000000-0000-0000-0000-000000000000"
"""Stands for the user and the organisation of an unknown email, so that it costs the same statements."""


def tidy(text: str) -> str:
    """Return a name in one Unicode form and without outer spaces."""
    return unicodedata.normalize("NFC", text).strip()


def name_violations(field: str, name: str) -> Iterator[Violation]:
    """Say what is wrong with a tidied name of a person or an organisation."""
    if not 1 <= len(name) <= NAME_LENGTH:
        yield Violation(field, f"must have 1 to {NAME_LENGTH} characters")
    elif any(unicodedata.category(character) in _FORBIDDEN for character in name):
        yield Violation(field, "must not hold control characters or line breaks")


def locale_violations(field: str, locale: str) -> Iterator[Violation]:
    """Say what is wrong with a locale."""
    if not _LOCALE.fullmatch(locale):
        yield Violation(field, 'must be a BCP 47 tag such as "en-GB"')


def time_zone_violations(field: str, time_zone: str) -> Iterator[Violation]:
    """Say what is wrong with a time zone."""
    if time_zone not in _time_zones():
        yield Violation(field, 'must be an IANA time zone such as "Europe/Paris"')


def region_violations(field: str, region: str) -> Iterator[Violation]:
    """Say what is wrong with a region; none at all is fine."""
    if region and region not in _regions():
        yield Violation(field, 'must be an ISO 3166-1 alpha-2 code such as "FR"')


def region_of(locale: str) -> str:
    """Return the region that a locale names, or nothing."""
    last = locale.rpartition("-")[2]
    return last if last in _regions() else ""


def parse_email(text: str) -> Email:
    """Return the address, or NO_EMAIL if it is none (RFC 5321, and RFC 6531 for other scripts). No mail server is asked."""
    try:
        found = validate_email(text.strip(), check_deliverability=False)
    except EmailNotValidError:
        return NO_EMAIL
    return Email(found.normalized, unicodedata.normalize("NFC", found.normalized.casefold()))


def email_violations(field: str, email: Email) -> Iterator[Violation]:
    """Say that an address is none."""
    if email == NO_EMAIL:
        yield Violation(field, "must be an email address")


@cache
def _time_zones() -> frozenset[str]:
    return frozenset(available_timezones())


@cache
def _regions() -> frozenset[str]:
    """Return the codes of ISO 3166-1 as the time zone database lists them."""
    table = (resources.files("tzdata.zoneinfo") / "iso3166.tab").read_text("utf-8")
    return frozenset(line.split("\t")[0] for line in table.splitlines() if not line.startswith("#"))
