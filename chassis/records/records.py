"""What is done with records, one or five hundred at a time, and always in this order: look, check, decide, write, say."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.message import Message

from chassis import contract, etags, ids, masks, turns
from chassis.database import UnitOfWork
from chassis.errors import NotFound, Reason, Refusal
from chassis.records.batches import BatchStore
from chassis.records.drafts import Draft, Edit
from chassis.records.resource import advance, begin, resource

M = TypeVar("M", bound=Message)


@dataclass(frozen=True, slots=True, kw_only=True)
class Events:
    """The events of one noun."""

    created: type[Message]
    updated: type[Message]
    deleted: type[Message]


class Records(ABC, Generic[M]):
    """The records of one noun, such as "contact"; a subclass says what only this noun does."""

    def __init__(self, noun: str, kind: type[M], store: BatchStore[M], events: Events) -> None:
        self.noun = noun
        self.kind = kind
        self.store = store
        self.events = events

    @abstractmethod
    async def settle(self, work: UnitOfWork, drafts: Sequence[Draft[M]]) -> None:
        """Bring drafts to the form in which they are kept; refuse each that breaks a rule or names what is not there."""

    def complete(self, work: UnitOfWork, after: M) -> None:
        """Fill in what a new record has although nobody said it; nothing, unless a noun says what."""

    def must_be_open(self, before: M) -> None:
        """Refuse to change a record that is as it is; a noun says which."""

    async def written(self, work: UnitOfWork, drafts: Sequence[Draft[M]]) -> None:
        """Keep what hangs on records that were just written; nothing, unless a noun says what."""

    async def show(self, work: UnitOfWork, record_id: str) -> M:
        """Return the answer with a record, or refuse with NOT_FOUND."""
        record = await self.store.show(work, ids.parse(record_id))
        if record is None:
            raise self._not_found()
        return record

    async def get_many(self, work: UnitOfWork, wanted: Sequence[str]) -> tuple[list[M], list[str]]:
        """Return the records that exist in the order of the ids, and the ids of those that do not; each once."""
        distinct = list(dict.fromkeys(wanted))
        found = await self.store.get_many(work, [each for each in distinct if ids.valid(each)])
        return [found[each] for each in distinct if each in found], [each for each in distinct if each not in found]

    async def create(self, work: UnitOfWork, wanted: M) -> M:
        """Keep a new record and say so; what only the server may fill in is not taken over."""
        draft = self.new(work, masks.taken(wanted))
        await self.settle(work, [draft])
        await self.write_new(work, [draft])
        return draft.outcome()

    async def update(self, work: UnitOfWork, edits: Sequence[tuple[M, FieldMask]]) -> list[Draft[M]]:
        """Change the masked fields of records."""

        def edit(wanted: M, mask: FieldMask) -> Edit[M]:
            named = resource(wanted)
            return Edit(named.id, named.etag, lambda before: self._masked(before, wanted, mask))

        return await self.change(work, [edit(wanted, mask) for wanted, mask in edits])

    async def change(self, work: UnitOfWork, edits: Sequence[Edit[M]]) -> list[Draft[M]]:
        """Change records, each for itself. What changes nothing is not written, and nobody is told."""
        drafts = await self.draft_changes(work, edits)
        await self.write_changes(work, drafts)
        return drafts

    async def delete(self, work: UnitOfWork, named: Sequence[tuple[str, str]]) -> list[Draft[M]]:
        """Remove records for good, named by id and etag; what events told of persons in them can be read no longer."""
        drafts = await self.look(work, [Edit(record_id, etag, self._gone) for record_id, etag in named])
        gone = [draft for draft in drafts if draft.refusal is None]
        if gone:
            await self.store.delete_many(work, [draft.id for draft in gone])
        if gone and contract.holds_sensitive(self.kind.DESCRIPTOR):
            await work.forget(*(draft.id for draft in gone))
        await self.say(work, gone, lambda draft: self.events.deleted(**{self.noun: draft.after}))
        return drafts

    def new(self, work: UnitOfWork, after: M) -> Draft[M]:
        """Return the draft of a new record, which gets its id here."""
        begin(after, ids.new(), work.now)
        self.complete(work, after)
        return Draft(self.kind(), after)

    async def draft_changes(self, work: UnitOfWork, edits: Sequence[Edit[M]]) -> list[Draft[M]]:
        """Lock the records and return the drafts that `change` writes."""
        drafts = await self.look(work, edits)
        await self.settle(work, [draft for draft in drafts if draft.changes])
        return drafts

    async def look(self, work: UnitOfWork, edits: Sequence[Edit[M]]) -> list[Draft[M]]:
        """Lock the records and return their drafts; an edit of what is not there or not as expected is refused."""
        stored = await self.store.lock_many(work, sorted(edit.id for edit in edits if ids.valid(edit.id)))
        return [await self._draft(work, edit, stored.get(edit.id)) for edit in edits]

    async def write_new(self, work: UnitOfWork, drafts: Sequence[Draft[M]]) -> None:
        """Keep drafts of new records, but for those that were refused, and say so."""
        made = [draft for draft in drafts if draft.refusal is None]
        for part in turns.parts(made):
            await self.store.insert_many(work, [draft.after for draft in part])
            await turns.give_way()
            await self.written(work, part)
        await self.say(work, made, lambda draft: self.events.created(**{self.noun: draft.after}))

    async def write_changes(self, work: UnitOfWork, drafts: Sequence[Draft[M]]) -> None:
        """Keep drafts of records that are there, but for those that were refused or change nothing, and say so."""
        await self.say(work, await self.write(work, drafts), self._updated)

    async def write(self, work: UnitOfWork, drafts: Sequence[Draft[M]]) -> list[Draft[M]]:
        """Keep drafts as `write_changes` does, and return those that were; what became of them is for the caller to say."""
        changed = [draft for draft in drafts if draft.changes]
        for part in turns.parts(changed):
            for draft in part:
                advance(draft.after, work.now)
            await self.store.update_many(work, [draft.after for draft in part])
            await turns.give_way()
            await self.written(work, part)
        return changed

    async def say(self, work: UnitOfWork, drafts: Sequence[Draft[M]], event: Callable[[Draft[M]], Message]) -> None:
        """Publish what became of drafts that were written. Of many, what is said of the first ones is on its way before the last ones."""
        for part in turns.parts(drafts):
            for draft in part:
                await turns.give_way()
                work.publish(event(draft), before=draft.before if resource(draft.before).id else None)
            if len(part) < len(drafts):
                await work.flush()

    def copy(self, record: M) -> M:
        """Return a record like this one."""
        copy = self.kind()
        copy.CopyFrom(record)
        return copy

    async def _draft(self, work: UnitOfWork, edit: Edit[M], before: M | None) -> Draft[M]:
        await turns.give_way()
        if before is None:
            return Draft(self.kind(), self.kind(), self._not_found())
        try:
            after = edit.change(before)
            there = resource(before)
            await work.check_etag(there.id, there.etag, edit.etag)
        except Refusal as refusal:
            return Draft(before, before, refusal)
        return Draft(before, after)

    def _updated(self, draft: Draft[M]) -> Message:
        return self.events.updated(**{self.noun: draft.after}, changed=masks.changed(draft.before, draft.after))

    def _masked(self, before: M, wanted: M, mask: FieldMask) -> M:
        self.must_be_open(before)
        return masks.apply(before, wanted, mask)

    def _gone(self, before: M) -> M:
        """Return what is told of a record that is removed: which one it was."""
        self.must_be_open(before)
        there = resource(before)
        return self.kind(id=there.id, etag=etags.of(etags.version(there.etag) + 1))

    def _not_found(self) -> NotFound:
        return NotFound(Reason.NOT_FOUND, f"no such {self.noun}", resource=self.noun)
