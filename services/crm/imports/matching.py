"""When a row is about a record that is there: by which keys it is looked for, and what it changes."""

from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import Any, NamedTuple, Protocol

from chassis import texts
from chassis.database import Question, UnitOfWork
from services.crm.companies import store as companies
from services.crm.contacts import rules as contact_rules
from services.crm.contacts import store as contacts
from services.crm.parts import emails
from services.crm.records import rules

Find = Callable[[UnitOfWork, str, Collection[str]], Awaitable[Question]]
"""Asks for live records by keys of one kind; rows: key, id."""


class Key(NamedTuple):
    """A kind of key and its value."""

    kind: str
    value: str


class Matches:
    """The records that have some keys; they are being looked for."""

    def __init__(self, asked: Mapping[str, Question]) -> None:
        self._asked = asked

    async def by_key(self) -> dict[Key, set[str]]:
        """Wait for the ids of the records."""
        found: dict[Key, set[str]] = {}
        for kind, question in self._asked.items():
            for row in await question.rows():
                found.setdefault(Key(kind, row["key"]), set()).add(row["id"])
        return found


class Matcher(Protocol):
    """Knows records of one noun by their keys."""

    def keys(self, record: Any) -> set[Key]:
        """Return what a tidy record is looked for by; nothing when it has no such thing."""
        ...

    async def find(self, work: UnitOfWork, keys: Collection[Key]) -> Matches:
        """Look for live records, as they are after all that the unit of work has written so far."""
        ...


class ContactMatcher:
    """An email address is somebody's own; a phone number may be a switchboard's, and counts where there is no address."""

    def keys(self, record: Any) -> set[Key]:
        """Return the keys of a contact."""
        found = {Key(contact_rules.EMAIL, emails.key(each.address)) for each in record.emails}
        return found or {Key(contact_rules.PHONE, each.e164) for each in record.phones if each.e164}

    async def find(self, work: UnitOfWork, keys: Collection[Key]) -> Matches:
        """Look for contacts."""
        return await _find(work, keys, contacts.find)


class CompanyMatcher:
    """A domain is a company's own; a name counts where there is no domain."""

    def keys(self, record: Any) -> set[Key]:
        """Return the key of a company."""
        return {Key("domain", record.domain)} if record.domain else {Key("name", texts.fold(record.name))}

    async def find(self, work: UnitOfWork, keys: Collection[Key]) -> Matches:
        """Look for companies."""
        return await _find(work, keys, companies.find)


async def _find(work: UnitOfWork, keys: Collection[Key], find: Find) -> Matches:
    kinds = sorted({key.kind for key in keys})
    return Matches({kind: await find(work, kind, [key.value for key in keys if key.kind == kind]) for kind in kinds})


def merged(before: Any, row: Any) -> Any:
    """Return a record with what is set in a row: single values in place of the old ones, parts of lists beside them."""
    rules.must_be_live("record", deleted=before.HasField("delete_time"))
    after = type(before)()
    after.CopyFrom(before)
    for field, value in row.ListFields():
        if field.is_repeated:
            _add(getattr(after, field.name), value)
        elif field.message_type is not None:
            _take_part(getattr(after, field.name), value)
        else:
            setattr(after, field.name, value)
    return after


def _add(there: Any, given: Any) -> None:
    known = {_identity(each) for each in there}
    there.extend(each for each in given if _identity(each) not in known)


def _take_part(there: Any, given: Any) -> None:
    if "lines" in there.DESCRIPTOR.fields_by_name and given.lines:
        del there.lines[:]
    there.MergeFrom(given)


def _identity(part: Any) -> str:
    """Return what makes an email, phone or tag the same as another one."""
    if isinstance(part, str):
        return part
    names = part.DESCRIPTOR.fields_by_name
    return str(emails.key(part.address) if "address" in names else part.e164 or part.number)
