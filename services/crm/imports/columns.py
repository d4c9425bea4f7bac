"""The fields that columns can become, what headers usually mean, and how a cell gets into a record."""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from chassis import texts
from kith.crm.v1.contacts_pb2 import ContactStatus
from kith.crm.v1.parts_pb2 import RecordKind
from services.crm.imports import cells
from services.crm.imports.cells import CellError

Put = Callable[[Any, str, bool], None]
"""Puts the value of a cell into a record; the last argument says whether decimals stand behind a comma."""

_EMAIL: Final = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")
_PHONE: Final = re.compile(r"""[='"]*\+?[\d\s().\-/]{7,}[='"]*""")
_NUMBERS: Final = re.compile(r"[\d\s.,:/\-+]+")


def _text(name: str) -> Put:
    def put(record: Any, value: str, _: bool) -> None:  # noqa: FBT001 - the shape of every Put
        setattr(record, name, value)

    return put


def _address(name: str) -> Put:
    def put(record: Any, value: str, _: bool) -> None:  # noqa: FBT001
        setattr(record.address, name, value)

    return put


def _lines(record: Any, value: str, _: bool) -> None:  # noqa: FBT001
    record.address.lines.extend(cells.lines(value))


def _emails(record: Any, value: str, _: bool) -> None:  # noqa: FBT001
    for address in cells.several(value):
        record.emails.add(address=address)


def _phones(record: Any, value: str, _: bool) -> None:  # noqa: FBT001
    for number in cells.numbers(value):
        record.phones.add(number=number)


def _tags(record: Any, value: str, _: bool) -> None:  # noqa: FBT001
    record.tags.extend(cells.several(value))


def _networks(record: Any, value: str, _: bool) -> None:  # noqa: FBT001
    for network in cells.aligned(value):
        record.social_profiles.add(network=network)


def _of_each(parts: str, name: str) -> Put:
    def put(record: Any, value: str, _: bool) -> None:  # noqa: FBT001
        given, found = cells.aligned(value), getattr(record, parts)
        if len(given) > len(found):
            raise CellError(f"has more entries than {parts}")
        for part, text in zip(found, given, strict=False):
            setattr(part, name, text)

    return put


def _name(record: Any, value: str, decimal_comma: bool) -> None:  # noqa: FBT001
    del decimal_comma
    given, _, family = value.rpartition(" ")
    record.given_name = given or family
    record.family_name = family if given else ""


def _status(record: Any, value: str, _: bool) -> None:  # noqa: FBT001
    number = ContactStatus.DESCRIPTOR.values_by_name.get(f"CONTACT_STATUS_{value.strip().upper()}")
    if number is None or not number.number:
        raise CellError("must be active, inactive or archived")
    record.status = number.number


def _count(record: Any, value: str, decimal_comma: bool) -> None:  # noqa: FBT001
    record.employee_count = cells.whole(value, decimal_comma=decimal_comma)


def _contacted(record: Any, value: str, _: bool) -> None:  # noqa: FBT001
    record.last_contacted_time.FromDatetime(cells.moment(value))


_PARTS: Final[Mapping[str, Put]] = {
    "phones": _phones,
    "phones.label": _of_each("phones", "label"),
    "owner_id": _text("owner_id"),
    "source": _text("source"),
    "tags": _tags,
    "address.lines": _lines,
    **{f"address.{name}": _address(name) for name in ("city", "state", "postal_code", "region")},
}
FIELDS: Final[Mapping[RecordKind.ValueType, Mapping[str, Put]]] = {
    RecordKind.RECORD_KIND_CONTACT: {
        **{name: _text(name) for name in ("given_name", "family_name", "title", "department", "company_id")},
        "name": _name,
        "emails": _emails,
        "emails.label": _of_each("emails", "label"),
        "social_profiles": _networks,
        "social_profiles.url": _of_each("social_profiles", "url"),
        "status": _status,
        "last_contacted_time": _contacted,
        "company.name": _text("name"),
        "company.domain": _text("domain"),
        **_PARTS,
    },
    RecordKind.RECORD_KIND_COMPANY: {
        **{name: _text(name) for name in ("name", "domain", "industry", "description")},
        "employee_count": _count,
        **_PARTS,
    },
}
REPEATED: Final = frozenset({"emails", "phones", "tags", "address.lines"})
"""Fields that several columns may become."""
ABOUT_OTHERS: Final = frozenset({"emails.label", "phones.label", "social_profiles.url"})
"""Fields that say something about the parts that other columns give, and are therefore filled after them."""
OF_COMPANIES: Final = frozenset({"company.name", "company.domain"})
"""Fields of contacts that say which company is theirs; their Put fills a company."""
_OURS: Final = frozenset({"id", "etag", "create_time", "update_time", "delete_time", "display_name", "phones.e164", "phones.extension"})
"""Columns of exports that only the service fills: whatever their values look like, they are left out."""
UNCOOKED: Final = frozenset({"phones"})
"""Fields whose own rules know what spreadsheets put around a value."""

_NAMES: Final[Mapping[str, str]] = {
    "first name": "given_name", "firstname": "given_name", "given name": "given_name", "vorname": "given_name",
    "last name": "family_name", "lastname": "family_name", "surname": "family_name", "family name": "family_name",
    "nachname": "family_name", "forename": "given_name",
    "name": "name", "full name": "name", "contact": "name", "contact name": "name", "company": "name", "company name": "name",
    "organisation": "name", "organization": "name", "account name": "name", "firma": "name",
    "email": "emails", "e-mail": "emails", "mail": "emails", "email address": "emails", "work email": "emails", "personal email": "emails",
    "phone": "phones", "phone number": "phones", "mobile": "phones", "mobile phone": "phones", "telephone": "phones", "tel": "phones",
    "work phone": "phones", "home phone": "phones", "cell": "phones", "telefon": "phones",
    "title": "title", "job title": "title", "position": "title", "department": "department", "company id": "company_id",
    "owner": "owner_id", "owner id": "owner_id", "source": "source", "lead source": "source", "status": "status",
    "street": "address.lines", "address": "address.lines", "address line 1": "address.lines", "address line 2": "address.lines",
    "city": "address.city", "town": "address.city", "state": "address.state", "province": "address.state", "county": "address.state",
    "zip": "address.postal_code", "zip code": "address.postal_code", "postal code": "address.postal_code",
    "postcode": "address.postal_code",
    "country": "address.region", "country code": "address.region", "region": "address.region", "tags": "tags", "labels": "tags",
    "last contacted": "last_contacted_time", "last contacted time": "last_contacted_time",
    "domain": "domain", "website": "domain", "web site": "domain", "url": "domain", "industry": "industry", "employees": "employee_count",
    "employee count": "employee_count", "number of employees": "employee_count", "size": "employee_count", "description": "description",
    "notes": "description", "company domain": "domain", "company domain name": "domain", "company website": "domain",
}  # fmt: skip
"""What headers usually mean, folded."""
_PATHS: Final = _OURS.union(*FIELDS.values())
_EMPLOYER_NAMES: Final[Mapping[str, str]] = {
    **dict.fromkeys(("company", "company name", "organisation", "organization", "account name", "firma"), "company.name"),
    **dict.fromkeys(("company domain", "company domain name", "company website"), "company.domain"),
}
"""What headers of contacts mean that are about their company."""


def is_header(rows: Sequence[Sequence[str]]) -> bool:
    """Say whether the first row names the columns: by what it says, else because it alone holds no values."""
    first, *others = rows
    if any(_is_value(cell) for cell in first):
        return False
    if any(_word(cell) in _NAMES or cell in _PATHS for cell in first):
        return True
    return any(_is_value(cell) for row in others for cell in row)


def propose(kind: RecordKind.ValueType, headers: Sequence[str], samples: Sequence[Sequence[str]]) -> list[str]:
    """Return the field that each column probably is, "" where nothing says so. A field that is one value is given to one column."""
    proposed: list[str] = []
    for index, header in enumerate(headers):
        field = "" if header in _OURS else _meant(kind, header) or _seen([row[index] for row in samples if index < len(row)])
        fits = field in FIELDS[kind] and (field in REPEATED or field not in proposed)
        proposed.append(field if fits else "")
    return proposed


def _meant(kind: RecordKind.ValueType, header: str) -> str:
    word = _word(header)
    if kind == RecordKind.RECORD_KIND_CONTACT and word in _EMPLOYER_NAMES:
        return _EMPLOYER_NAMES[word]
    return header if header in FIELDS[kind] else _NAMES.get(word, "")


def _seen(values: Sequence[str]) -> str:
    filled = [value.strip() for value in values if value.strip()]
    if filled and all(_EMAIL.fullmatch(value) for value in filled):
        return "emails"
    return "phones" if filled and all(_PHONE.fullmatch(value) for value in filled) else ""


def _word(header: str) -> str:
    return texts.fold(header.replace("_", " "))


def _is_value(cell: str) -> bool:
    cell = cell.strip()
    return bool(cell and (_EMAIL.fullmatch(cell) or _PHONE.fullmatch(cell) or _NUMBERS.fullmatch(cell)))
