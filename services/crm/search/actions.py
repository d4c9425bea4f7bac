"""What is done with tokens: they follow their record, and lead to it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from chassis.context import Caller
from chassis.database import UnitOfWork
from kith.crm.v1.parts_pb2 import RecordKind
from kith.options.v1.permissions_pb2 import Permission
from services.crm.search import rules, store
from services.crm.search.rules import Entry, Field


class Change(NamedTuple):
    """A record that was written: its id, and what it is found by before and after; None while it is deleted or not there."""

    id: str
    before: Entry | None
    after: Entry | None


async def follow(work: UnitOfWork, kind: str, changes: Sequence[Change]) -> None:
    """Keep what records are found by from now on."""
    changed = [each for each in changes if _tokens(each.before) != _tokens(each.after)]
    stale = [each.id for each in changed if each.before]
    if stale:
        await store.drop(work, stale)
    await store.add(work, kind, [(each.id, each.after) for each in changed if each.after])


async def renew(work: UnitOfWork, kind: str, entries: Mapping[str, Entry]) -> None:
    """Keep what records are found by, whatever was kept before; entries by id."""
    await store.drop(work, entries.keys())
    await store.add(work, kind, entries.items())


def _tokens(entry: Entry | None) -> object:
    return entry.tokens if entry else {}


class Entries(Protocol):
    """The records of one noun, as the box sees them."""

    @property
    def noun(self) -> str:
        """Name of the noun, such as "contact"."""

    async def entries(self, work: UnitOfWork, ids: Sequence[str]) -> dict[str, Entry]:
        """Return the entries of the records that exist and are not deleted, by id."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A noun that the box finds, and the permission to read it."""

    number: RecordKind.ValueType
    permission: Permission.ValueType
    records: Entries


class Hit(NamedTuple):
    """A record that was found: how it shows, and where the query stands in it."""

    kind: RecordKind.ValueType
    id: str
    entry: Entry
    field: Field


class Searched(NamedTuple):
    """A search that was answered: whose it was, what it looked for in which kinds, and whether it found something."""

    tenant_id: str
    person: str
    query: str
    kinds: Sequence[RecordKind.ValueType]
    is_found: bool


class Box:
    """Finds records of all its kinds, as far as the caller may read them."""

    def __init__(self, kinds: Sequence[Kind]) -> None:
        self._kinds = {kind.records.noun: kind for kind in kinds}

    def kinds(self, caller: Caller, wanted: Sequence[RecordKind.ValueType]) -> list[RecordKind.ValueType]:
        """Return the kinds that are looked in: those that are wanted, all when none is, as far as the caller may read them."""
        return [self._kinds[noun].number for noun in self._nouns(caller, wanted)]

    async def find(self, work: UnitOfWork, query: str, wanted: Sequence[RecordKind.ValueType], *, most: int, size: int) -> dict[str, Hit]:
        """Return records by id, the best first: what the likelier reading of the query finds before the others."""
        nouns = self._nouns(work.caller, wanted)
        hits: dict[str, Hit] = {}
        for words in rules.readings(query) if nouns else ():
            found = await store.find(work, nouns, words, most=most, size=size)
            hits |= {hit.id: hit for hit in await self._look(work, words, found) if hit.id not in hits}
        return dict(list(hits.items())[:size])

    def _nouns(self, caller: Caller, wanted: Sequence[RecordKind.ValueType]) -> list[str]:
        may_read = [noun for noun, kind in self._kinds.items() if caller.may(kind.permission)]
        return [noun for noun in may_read if not wanted or self._kinds[noun].number in wanted]

    async def _look(self, work: UnitOfWork, words: Sequence[str], found: Sequence[store.Found]) -> list[Hit]:
        """Return the records as they are now; one that was changed meanwhile and has the words no longer is left out."""
        entries: dict[str, Entry] = {}
        for noun in {each.kind for each in found}:
            entries |= await self._kinds[noun].records.entries(work, [each.id for each in found if each.kind == noun])
        fields = {record_id: rules.matched(words, entry.tokens) for record_id, entry in entries.items()}
        return [
            Hit(self._kinds[each.kind].number, each.id, entries[each.id], field)
            for each in found
            if (field := fields.get(each.id)) is not None
        ]
