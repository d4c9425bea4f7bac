"""What is done with crm's records beyond what the chassis does with any: they have owners, are found by the search, and can be restored."""

from abc import abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from google.protobuf.message import Message

from chassis import etags, turns
from chassis.database import UnitOfWork
from chassis.errors import Violation
from chassis.records import Draft, Edit
from chassis.records import Events as UsualEvents
from chassis.records import Records as UsualRecords
from services.crm.parts import phones
from services.crm.records import owners, rules
from services.crm.records.kinds import R
from services.crm.records.store import RecordStore
from services.crm.search import actions as search
from services.crm.search.rules import Entry
from services.crm.tenants.actions import Regions


@dataclass(frozen=True, slots=True, kw_only=True)
class Events(UsualEvents):
    """The events of one noun."""

    restored: type[Message]
    purged: type[Message]


class Records(UsualRecords[R]):
    """The records of one noun, such as "contact"; a subclass says what only this noun does."""

    store: RecordStore[R]
    events: Events

    def __init__(self, noun: str, kind: type[R], store: RecordStore[R], events: Events, regions: Regions) -> None:
        # mypy puts the messages in R's place here, and leaves R in the base.
        super().__init__(noun, kind, store, events)  # type: ignore[arg-type]
        self.regions = regions

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

    async def settle(self, work: UnitOfWork, drafts: Sequence[Draft[R]]) -> None:
        """Bring drafts to the form in which they are kept; refuse each that breaks a rule or names what is not there."""
        needs_region = any(phones.needs_region(draft.after.phones, draft.before.phones) for draft in drafts)
        region = await self.regions.of(work) if needs_region else ""
        for draft in drafts:
            await turns.give_way()
            draft.settle(lambda before, after: self.tidy(before, after, region), self.check)
        await self.check_references(work, [draft for draft in drafts if draft.changes])

    def complete(self, work: UnitOfWork, after: R) -> None:
        """Give a new record to the caller, unless it is somebody's."""
        after.owner_id = after.owner_id or work.caller.user_id

    def must_be_open(self, before: R) -> None:
        """Refuse to change a deleted record."""
        rules.must_be_live(self.noun, deleted=before.HasField("delete_time"))

    async def written(self, work: UnitOfWork, drafts: Sequence[Draft[R]]) -> None:
        """Keep what hangs on records that were just written; a noun with more than what they are found by adds to it."""
        await search.follow(work, self.noun, await turns.mapped(self._change, drafts))

    async def removed(self, work: UnitOfWork, ids: Sequence[str]) -> None:
        """Forget what hangs on deleted records that go for good; nothing, unless a noun says what."""

    async def entries(self, work: UnitOfWork, ids: Sequence[str]) -> dict[str, Entry]:
        """Return the entries of the records that exist and are not deleted, by id."""
        shown = {record_id: self._shown(record) for record_id, record in (await self.store.get_many(work, ids)).items()}
        return {record_id: entry for record_id, entry in shown.items() if entry}

    async def create_tidy(self, work: UnitOfWork, records: Sequence[R]) -> list[Draft[R]]:
        """Keep new records that have their form already and break no rule, and say so; each may still name what is not there.

        The records become what is kept: they get their ids here.
        """
        drafts = await self.draft_tidy(work, records)
        await self.write_new(work, drafts)
        return drafts

    async def draft_tidy(self, work: UnitOfWork, records: Sequence[R]) -> list[Draft[R]]:
        """Return the drafts that `create_tidy` writes."""
        drafts = [self.new(work, each) for each in records]
        await self.check_references(work, drafts)
        return drafts

    async def delete(self, work: UnitOfWork, named: Sequence[tuple[str, str]]) -> list[Draft[R]]:
        """Hide live records, named by id and etag, until they are restored or purged."""

        def hidden(before: R) -> R:
            self.must_be_open(before)
            after = self.copy(before)
            after.delete_time.FromDatetime(work.now)
            return after

        drafts = await self.look(work, [Edit(record_id, etag, hidden) for record_id, etag in named])
        return await self._write_and_say(work, drafts, self.events.deleted)

    async def restore(self, work: UnitOfWork, named: Sequence[tuple[str, str]]) -> list[Draft[R]]:
        """Bring deleted records back, named by id and etag."""

        def shown(before: R) -> R:
            rules.must_be_deleted(self.noun, deleted=before.HasField("delete_time"))
            after = self.copy(before)
            after.ClearField("delete_time")
            return after

        drafts = await self.look(work, [Edit(record_id, etag, shown) for record_id, etag in named])
        return await self._write_and_say(work, drafts, self.events.restored)

    async def purge(self, work: UnitOfWork, before: datetime, most: int) -> int:
        """Remove records that were deleted before a time, `most` at once, with what events tell of them; return how many there were."""
        due = await self.store.lock_due(work, before, most)
        if due:
            await self.removed(work, list(due))
            await self.store.delete_many(work, list(due))
            await work.forget(*due)
        for record_id, version in due.items():
            await turns.give_way()
            gone = self.kind(id=record_id, etag=etags.of(version + 1))
            work.publish(self.events.purged(**{self.noun: gone}))
        return len(due)

    async def renew_entries(self, work: UnitOfWork, after: str, most: int) -> list[str]:
        """Keep anew what live records with an id behind `after` are found by, unless it is up to date; return which, `most` at once."""
        records = await self.store.lock_unfound(work, after, most)
        if records:
            await search.renew(work, self.noun, {record_id: self.entry(record) for record_id, record in records.items()})
        return sorted(records)

    async def _write_and_say(self, work: UnitOfWork, drafts: list[Draft[R]], event: type[Message]) -> list[Draft[R]]:
        await self.say(work, await self.write(work, drafts), lambda draft: event(**{self.noun: draft.after}))
        return drafts

    def _change(self, draft: Draft[R]) -> search.Change:
        return search.Change(draft.id, self._shown(draft.before), self._shown(draft.after))

    def _shown(self, record: R) -> Entry | None:
        return self.entry(record) if record.id and not record.HasField("delete_time") else None
