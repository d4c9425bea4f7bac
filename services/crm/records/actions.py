"""What is done with records, one or five hundred at a time, and always in this order: look, check, decide, write, say."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Generic

from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.message import Message

from chassis import etags, ids, masks
from chassis.database import UnitOfWork
from chassis.errors import NotFound, Reason, Refusal, Violation, raise_for
from services.crm.parts import phones
from services.crm.records import owners, rules
from services.crm.records.drafts import Draft, Edit
from services.crm.records.kinds import R
from services.crm.records.store import Store
from services.crm.search import actions as search
from services.crm.search.rules import Entry
from services.crm.tenants.actions import Regions


@dataclass(frozen=True, slots=True, kw_only=True)
class Events:
    """The events of one noun."""

    created: type[Message]
    updated: type[Message]
    deleted: type[Message]
    restored: type[Message]
    purged: type[Message]


class Records(ABC, Generic[R]):
    """The records of one noun, such as "contact"; a subclass says what only this noun does."""

    def __init__(self, noun: str, kind: type[R], store: Store[R], events: Events, regions: Regions) -> None:
        self.noun = noun
        self.regions = regions
        self.kind: type[R] = kind
        self.store: Store[R] = store
        self.events = events

    @abstractmethod
    def tidy(self, before: R, after: R, region: str) -> None:
        """Bring a record to the form in which it is kept; phone numbers that it did not have before are read in the region."""

    @abstractmethod
    def check(self, record: R) -> Iterable[Violation]:
        """Yield what is wrong with a tidy record."""

    async def check_references(self, work: UnitOfWork, drafts: Sequence[Draft[R]]) -> None:
        """Refuse drafts that name what is not there."""
        await owners.check(work, drafts)

    @abstractmethod
    def entry(self, record: R) -> Entry:
        """Return how a record shows in answers of the search, and what it is found by there."""

    async def written(self, work: UnitOfWork, drafts: Sequence[Draft[R]]) -> None:
        """Keep what hangs on records that were just written; a noun with more than what they are found by adds to it."""
        changes = [search.Change(draft.after.id, self._shown(draft.before), self._shown(draft.after)) for draft in drafts]
        await search.follow(work, self.noun, changes)

    async def entries(self, work: UnitOfWork, ids: Sequence[str]) -> dict[str, Entry]:
        """Return the entries of the records that exist and are not deleted, by id."""
        shown = {record_id: self._shown(record) for record_id, record in (await self.store.many(work, ids)).items()}
        return {record_id: entry for record_id, entry in shown.items() if entry}

    async def get(self, work: UnitOfWork, record_id: str) -> R:
        """Return a record, deleted or not, or refuse with NOT_FOUND."""
        record = await self.store.get(work, ids.parse(record_id))
        if record is None:
            raise self._not_found()
        return record

    async def get_many(self, work: UnitOfWork, wanted: Sequence[str]) -> tuple[list[R], list[str]]:
        """Return the records that exist in the order of the ids, and the ids of those that do not; each once."""
        distinct = list(dict.fromkeys(wanted))
        found = await self.store.many(work, [each for each in distinct if ids.valid(each)])
        return [found[each] for each in distinct if each in found], [each for each in distinct if each not in found]

    async def create(self, work: UnitOfWork, wanted: R) -> R:
        """Keep a new record and say so; what only the server may fill in is not taken over."""
        (draft,) = await self.create_many(work, [wanted])
        return draft.outcome()

    async def create_many(self, work: UnitOfWork, wanted: Sequence[R]) -> list[Draft[R]]:
        """Keep new records, each for itself, and say so."""
        drafts = [self._new(work, masks.apply(self.kind(), each, FieldMask(paths=["*"]))) for each in wanted]
        await self._settle(work, drafts)
        await self.write_new(work, drafts)
        return drafts

    async def create_tidy(self, work: UnitOfWork, records: Sequence[R]) -> list[Draft[R]]:
        """Keep new records that have their form already and break no rule, and say so; each may still name what is not there.

        The records become what is kept: they get their ids here.
        """
        drafts = await self.draft_tidy(work, records)
        await self.write_new(work, drafts)
        return drafts

    async def draft_tidy(self, work: UnitOfWork, records: Sequence[R]) -> list[Draft[R]]:
        """Return the drafts that `create_tidy` writes."""
        drafts = [self._new(work, each) for each in records]
        await self.check_references(work, drafts)
        return drafts

    async def update(self, work: UnitOfWork, edits: Sequence[tuple[R, FieldMask]]) -> list[Draft[R]]:
        """Change the masked fields of live records."""

        def edit(wanted: R, mask: FieldMask) -> Edit[R]:
            return Edit(wanted.id, wanted.etag, lambda before: masks.apply(self._live(before), wanted, mask))

        return await self.change(work, [edit(wanted, mask) for wanted, mask in edits])

    async def change(self, work: UnitOfWork, edits: Sequence[Edit[R]]) -> list[Draft[R]]:
        """Change records, each for itself. What changes nothing is not written, and nobody is told."""
        drafts = await self.draft_changes(work, edits)
        await self.write_changes(work, drafts)
        return drafts

    async def draft_changes(self, work: UnitOfWork, edits: Sequence[Edit[R]]) -> list[Draft[R]]:
        """Lock the records and return the drafts that `change` writes."""
        drafts = await self._look(work, edits)
        await self._settle(work, [draft for draft in drafts if draft.changes])
        return drafts

    async def delete(self, work: UnitOfWork, named: Sequence[tuple[str, str]]) -> list[Draft[R]]:
        """Hide live records, named by id and etag, until they are restored or purged."""

        def hidden(before: R) -> R:
            after = self._copy(self._live(before))
            after.delete_time.FromDatetime(work.now)
            return after

        drafts = await self._look(work, [Edit(record_id, etag, hidden) for record_id, etag in named])
        return await self._write_and_say(work, drafts, self.events.deleted)

    async def restore(self, work: UnitOfWork, named: Sequence[tuple[str, str]]) -> list[Draft[R]]:
        """Bring deleted records back, named by id and etag."""

        def shown(before: R) -> R:
            rules.must_be_deleted(self.noun, deleted=before.HasField("delete_time"))
            after = self._copy(before)
            after.ClearField("delete_time")
            return after

        drafts = await self._look(work, [Edit(record_id, etag, shown) for record_id, etag in named])
        return await self._write_and_say(work, drafts, self.events.restored)

    async def purge(self, work: UnitOfWork, before: datetime, most: int) -> int:
        """Remove records that were deleted before a time, `most` at once, with what events tell of them; return how many there were."""
        due = await self.store.lock_due(work, before, most)
        if due:
            await self.store.remove(work, list(due))
            await work.forget(*due)
        for record_id, version in due.items():
            gone = self.kind(id=record_id, etag=etags.of(version + 1))
            work.publish(self.events.purged(**{self.noun: gone}))
        return len(due)

    async def renew_entries(self, work: UnitOfWork, after: str, most: int) -> list[str]:
        """Keep anew what live records with an id behind `after` are found by, unless it is up to date; return which, `most` at once."""
        records = await self.store.lock_unfound(work, after, most)
        if records:
            await search.renew(work, self.noun, {record_id: self.entry(record) for record_id, record in records.items()})
        return sorted(records)

    async def _settle(self, work: UnitOfWork, drafts: Sequence[Draft[R]]) -> None:
        """Bring drafts to the form in which they are kept, and refuse each that breaks a rule."""
        new_phones = any(phones.has_new(draft.after.phones, draft.before.phones) for draft in drafts)
        region = await self.regions.of(work) if new_phones else ""
        for draft in drafts:
            draft.attempt(lambda before, after: self.tidy(before, after, region))
            draft.attempt(lambda _, after: raise_for(list(self.check(after))))
        await self.check_references(work, [draft for draft in drafts if draft.changes])

    async def _look(self, work: UnitOfWork, edits: Sequence[Edit[R]]) -> list[Draft[R]]:
        """Lock the records and return their drafts; an edit of what is not there or not as expected is refused."""
        stored = await self.store.lock(work, sorted(edit.id for edit in edits if ids.valid(edit.id)))
        return [await self._draft(work, edit, stored.get(edit.id)) for edit in edits]

    async def _draft(self, work: UnitOfWork, edit: Edit[R], before: R | None) -> Draft[R]:
        if before is None:
            return Draft(self.kind(), self.kind(), self._not_found())
        try:
            after = edit.change(before)
            await work.check_etag(before.id, before.etag, edit.etag)
        except Refusal as refusal:
            return Draft(before, before, refusal)
        return Draft(before, after)

    async def write_changes(self, work: UnitOfWork, drafts: Sequence[Draft[R]]) -> None:
        """Keep drafts of records that are there, but for those that were refused or change nothing, and say so."""
        changed = [draft for draft in drafts if draft.changes]
        await self._write(work, changed)
        for draft in changed:
            fields = masks.changed(draft.before, draft.after)
            work.publish(self.events.updated(**{self.noun: draft.after}, changed=fields), before=draft.before)

    async def _write_and_say(self, work: UnitOfWork, drafts: list[Draft[R]], event: type[Message]) -> list[Draft[R]]:
        changed = [draft for draft in drafts if draft.changes]
        await self._write(work, changed)
        for draft in changed:
            work.publish(event(**{self.noun: draft.after}), before=draft.before)
        return drafts

    async def _write(self, work: UnitOfWork, drafts: Sequence[Draft[R]]) -> None:
        if not drafts:
            return
        for draft in drafts:
            self._stamp(work, draft.after, draft.before.id, etags.version(draft.before.etag) + 1)
        await self.store.update(work, [draft.after for draft in drafts])
        await self.written(work, drafts)

    async def write_new(self, work: UnitOfWork, drafts: Sequence[Draft[R]]) -> None:
        """Keep drafts of new records, but for those that were refused, and say so."""
        made = [draft for draft in drafts if draft.refusal is None]
        if made:
            await self.store.insert(work, [draft.after for draft in made])
            await self.written(work, made)
        for draft in made:
            work.publish(self.events.created(**{self.noun: draft.after}))

    def _new(self, work: UnitOfWork, after: R) -> Draft[R]:
        self._stamp(work, after, ids.new(), 1)
        after.create_time.CopyFrom(after.update_time)
        after.owner_id = after.owner_id or work.caller.user_id
        return Draft(self.kind(), after)

    def _shown(self, record: R) -> Entry | None:
        return self.entry(record) if record.id and not record.HasField("delete_time") else None

    def _live(self, record: R) -> R:
        rules.must_be_live(self.noun, deleted=record.HasField("delete_time"))
        return record

    def _copy(self, record: R) -> R:
        copy = self.kind()
        copy.CopyFrom(record)
        return copy

    def _stamp(self, work: UnitOfWork, record: R, record_id: str, version: int) -> None:
        record.id = record_id
        record.etag = etags.of(version)
        record.update_time.FromDatetime(work.now)

    def _not_found(self) -> NotFound:
        return NotFound(Reason.NOT_FOUND, f"no such {self.noun}", resource=self.noun)
