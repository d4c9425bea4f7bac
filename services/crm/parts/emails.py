"""Email addresses: kept as typed with the domain in lower case, matched by a normalised key (CRM-2)."""

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Final, NamedTuple

from email_validator import EmailNotValidError, validate_email

from chassis import texts
from chassis.errors import Violation

if TYPE_CHECKING:
    from kith.crm.v1.parts_pb2 import Email

MOST: Final = 20
LENGTH: Final = 254  # RFC 5321, section 4.5.3.1.3, without the angle brackets
LABEL_LENGTH: Final = 50
REMEMBERED: Final = 5_000  # addresses and domains, 0.4 KB each: what one batch of a list or its next ones repeat

_PLAIN: Final = re.compile(r"(?=.{1,64}$)[A-Za-z0-9_+\-]+(?:\.[A-Za-z0-9_+\-]+)*")
"""Local parts that stand for themselves; the others are looked at more closely."""
_ANYBODY: Final = "a"


class Read(NamedTuple):
    """An address as it is kept, the key that it is matched by, and why it is none (then it is kept as typed)."""

    address: str
    key: str
    wrong: str = ""


@lru_cache(maxsize=REMEMBERED)
def read(typed: str) -> Read:
    """Read an address (RFC 5321, with RFC 6531's letters). No DNS is asked.

    The key has no case anywhere, which is what people mean although RFC 5321 lets a mail host tell cases apart, and its
    domain is in the ASCII form of IDNA 2008.
    """
    typed = typed.strip()
    local, _, domain = typed.rpartition("@")
    if len(typed) <= LENGTH and _PLAIN.fullmatch(local) and (ascii_domain := _ascii_domain(domain)):
        return Read(f"{local}@{domain.lower()}", f"{local.casefold()}@{ascii_domain}")
    try:
        valid = validate_email(typed, check_deliverability=False)
    except EmailNotValidError as error:
        return Read(typed, "", str(error))
    return Read(f"{local}@{domain.lower()}", f"{valid.local_part.casefold()}@{valid.ascii_domain}")


@lru_cache(maxsize=REMEMBERED)
def _ascii_domain(domain: str) -> str:
    """Return the ASCII form of a domain, "" when it is none: lists hold many addresses of few domains, and each takes some 30 us."""
    try:
        return validate_email(f"{_ANYBODY}@{domain}", check_deliverability=False).ascii_domain
    except EmailNotValidError:
        return ""


def key(typed: str) -> str:
    """Return what an address, or the beginning of one, is matched by."""
    return read(typed).key or typed.strip().casefold()


def tidy(emails: "Sequence[Email]") -> None:
    """Bring addresses to the form in which they are kept."""
    for email in emails[:MOST]:
        if len(email.address) <= LENGTH:
            email.address = read(email.address).address
        email.label = email.label.strip()


def check(emails: "Sequence[Email]") -> Iterator[Violation]:
    """Yield what is wrong with a record's addresses."""
    yield from texts.check_count("emails", len(emails), MOST)
    for index, email in enumerate(emails[:MOST]):
        at = f"emails[{index}]"
        yield from list(texts.check(f"{at}.address", email.address, LENGTH, least=1)) or _check_syntax(f"{at}.address", email.address)
        yield from texts.check(f"{at}.label", email.label, LABEL_LENGTH)


def _check_syntax(field: str, address: str) -> list[Violation]:
    wrong = read(address).wrong
    return [Violation(field, wrong)] if wrong else []
