"""Phone numbers: kept as typed, with the E.164 form beside them, matched by the digits that people type (CRM-2).

Read with the tenant's region, so that a national number gets its country code. What was decided where numbers are messy:

- A spreadsheet's guards before a number (`'+1 ...`, `=+1 ...`, `="+1..."`) are no part of it.
- "00" is read as "+" where the number means nothing otherwise: people write it in regions that dial another prefix.
- A vanity number's letters are the digits of a keypad ("1-800-FLOWERS").
- A number counts if its length is possible for its country, assigned or not: numbering plans move faster than software,
  and +1 555 is somebody's number in a list. A number without its area code does not count: nobody else could dial it.
- A text that holds no such number is kept as typed without an E.164 form, and is still found by its digits.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Final, NamedTuple

import phonenumbers
from phonenumbers import NumberParseException, PhoneMetadata, PhoneNumber, PhoneNumberFormat, ValidationResult

from chassis import texts
from chassis.errors import Violation

if TYPE_CHECKING:
    from kith.crm.v1.parts_pb2 import Phone

MOST: Final = 20
LENGTH: Final = 100
LABEL_LENGTH: Final = 50
REMEMBERED: Final = 5_000  # numbers, 1 KB each: what one batch of a list or its next ones repeat

_AROUND: Final = re.compile(r"""^[\s='"]+(?:tel:)?|^tel:|[\s"']+$""", re.IGNORECASE)
_DIGIT: Final = re.compile(r"\d")
_NO_DIGITS: Final = re.compile(r"[^0-9]+")
_NO_LETTERS: Final = re.compile(r"[\d\s+().\-/]+")
_EXTENSION: Final = re.compile(r"\s*(?:;ext=|,+|ext\.?|x|#)\s*[0-9]{1,10}#?$", re.IGNORECASE)
_INTERNATIONAL: Final = re.compile(r"\+[1-9][0-9 ().\-]{5,30}")
_PLUS: Final = ("+", "\N{FULLWIDTH PLUS SIGN}")


class Read(NamedTuple):
    """The dialable form of a number and its extension; both empty where there is none."""

    e164: str = ""
    extension: str = ""


@lru_cache(maxsize=REMEMBERED)
def read(typed: str, region: str) -> Read:
    """Read a number as somebody in the region (ISO 3166-1) would. Parsing takes some 50 us, lists repeat themselves: it is cached."""
    bare = _AROUND.sub("", typed)
    if usual := _usual(bare):
        return Read(usual)
    number = _parse(bare, region) or (_parse("+" + bare[2:], region) if bare.startswith("00") else None)
    if number is None:
        return Read()
    return Read(phonenumbers.format_number(number, PhoneNumberFormat.E164), number.extension or "")


class _Country(NamedTuple):
    """How long the national numbers of a country code are, and what is dialled before some of them."""

    lengths: frozenset[int]
    prefix: re.Pattern[str] | None


def _usual(bare: str) -> str:
    """Return the E.164 form of an international number that no rule of its country changes, as most are; "" for all others."""
    if not _INTERNATIONAL.fullmatch(bare):
        return ""
    digits = _digits(bare)
    code = _code(digits)
    national, country = digits[len(code) :], _country(int(code or 0))
    has_prefix = country.prefix is not None and country.prefix.match(national)
    return "" if national.startswith("0") or len(national) not in country.lengths or has_prefix else f"+{digits}"


@cache
def _country(code: int) -> _Country:
    metadata = PhoneMetadata.metadata_for_region_or_calling_code(code, phonenumbers.region_code_for_country_code(code))
    if metadata is None or metadata.general_desc is None:
        return _Country(frozenset(), None)
    prefix = metadata.national_prefix_for_parsing
    return _Country(frozenset(metadata.general_desc.possible_length), re.compile(prefix) if prefix else None)


def _code(digits: str) -> str:
    """Return the country code that an international number begins with; "" if there is none."""
    return next((digits[:end] for end in (1, 2, 3) if int(digits[:end]) in phonenumbers.COUNTRY_CODE_TO_REGION_CODE), "")


def _parse(text: str, region: str) -> PhoneNumber | None:
    try:
        number = phonenumbers.parse(text, region or None)
    except NumberParseException:
        return None
    return number if phonenumbers.is_possible_number_with_reason(number) == ValidationResult.IS_POSSIBLE else None


def key(typed: str) -> str:
    """Return the digits of a number, or of the beginning of one, with "+" before them when it was typed so (or as "00").

    Raises ValueError when there is no digit.
    """
    bare = _without_extension(_AROUND.sub("", typed))
    if not _DIGIT.search(bare):
        raise ValueError(typed)
    digits = _digits(bare if _NO_LETTERS.fullmatch(bare) else phonenumbers.convert_alpha_characters_in_number(bare))
    if digits.startswith("00"):
        return f"+{digits[2:]}"
    return f"+{digits}" if bare.startswith(_PLUS) else digits


@lru_cache(maxsize=REMEMBERED)
def keys(typed: str, e164: str) -> frozenset[str]:
    """Return all that a number is found by: as typed, with and without letters; international with and without "+"; national."""
    if not _DIGIT.search(typed):
        return frozenset()
    found = {key(typed), _digits(_without_extension(typed))}
    if e164:
        number, significant = _of_e164(e164)
        found |= {e164, e164[1:], significant}
        if not _dials_no_prefix(number.country_code):
            found.add(_digits(phonenumbers.format_number(number, PhoneNumberFormat.NATIONAL)))
    return frozenset(found)


@cache
def _dials_no_prefix(code: int) -> bool:
    """Say whether the national form of every number has the digits of the international one, as in half of the countries."""
    metadata = PhoneMetadata.metadata_for_region_or_calling_code(code, phonenumbers.region_code_for_country_code(code))
    formats = metadata.number_format if metadata else []
    return all(
        _digits(each.format or "") == "123456789"[: re.compile(each.pattern or "").groups] and not each.national_prefix_formatting_rule
        for each in formats
    )


def _of_e164(e164: str) -> tuple[PhoneNumber, str]:
    """Return the number and its national digits; parsed only where zeros begin it, which may be a prefix or a part of it."""
    code = _code(e164[1:])
    national = e164[1 + len(code) :]
    if not national.startswith("0"):
        return PhoneNumber(int(code), int(national)), national
    number = phonenumbers.parse(e164)
    return number, phonenumbers.national_significant_number(number)


def _digits(text: str) -> str:
    """Return the digits of a text as ASCII."""
    return _NO_DIGITS.sub("", text) if text.isascii() else phonenumbers.normalize_digits_only(text)


def _without_extension(typed: str) -> str:
    """Return the number alone; a text that is nothing but an extension is one."""
    number = _EXTENSION.sub("", typed)
    return number if _DIGIT.search(number) else typed


def tidy(phones: "Sequence[Phone]", region: str, known: "Mapping[str, Phone]") -> None:
    """Put the E.164 form and extension beside each number; a number that the record had already keeps the ones it had."""
    for phone in phones[:MOST]:
        before = known.get(phone.number)
        found = Read(before.e164, before.extension) if before else read(phone.number[:LENGTH], region)
        phone.e164, phone.extension = found
        phone.label = phone.label.strip()


def needs_region(phones: "Sequence[Phone]", before: "Sequence[Phone]") -> bool:
    """Say whether there is a number that the record did not have before and that is read differently from region to region."""
    known = {phone.number for phone in before}
    return any(phone.number not in known and not _is_international(phone.number) for phone in phones)


def _is_international(typed: str) -> bool:
    return _AROUND.sub("", typed[:LENGTH]).startswith(_PLUS)


def check(phones: "Sequence[Phone]") -> Iterator[Violation]:
    """Yield what is wrong with a record's numbers."""
    yield from texts.check_count("phones", len(phones), MOST)
    for index, phone in enumerate(phones[:MOST]):
        yield from texts.check(f"phones[{index}].number", phone.number.strip(), LENGTH, least=1)
        yield from texts.check(f"phones[{index}].label", phone.label, LABEL_LENGTH)
