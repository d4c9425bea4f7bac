"""What registration asks for, tidied and with its defaults (ID-1)."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

from chassis.errors import Violation
from services.identity import rules
from services.identity.rules import Email


@dataclass(frozen=True, slots=True, kw_only=True)
class Registration:
    """An organisation and its owner."""

    organisation: str
    email: Email
    name: str
    locale: str
    time_zone: str
    region: str

    @classmethod
    def of(cls, *, organisation: str, email: str, name: str, locale: str, time_zone: str, region: str) -> Self:
        """Return what was asked for in one form, with what was left out."""
        locale = locale or rules.DEFAULT_LOCALE
        return cls(
            organisation=rules.tidy(organisation),
            email=rules.parse_email(email),
            name=rules.tidy(name),
            locale=locale,
            time_zone=time_zone or rules.DEFAULT_TIME_ZONE,
            region=region or rules.region_of(locale),
        )

    def violations(self) -> Iterator[Violation]:
        """Say everything that is wrong with it, the password apart."""
        yield from rules.name_violations("organisation", self.organisation)
        yield from rules.email_violations("email", self.email)
        yield from rules.name_violations("name", self.name)
        yield from rules.locale_violations("locale", self.locale)
        yield from rules.time_zone_violations("time_zone", self.time_zone)
        yield from rules.region_violations("region", self.region)

    def telling(self) -> tuple[str, ...]:
        """Return what others know, and what a password must therefore not hold."""
        return self.email.address, self.organisation, self.name
