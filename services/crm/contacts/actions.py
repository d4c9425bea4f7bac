"""What is done with contacts, whoever asks."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Final

from chassis import ids, turns
from chassis.database import UnitOfWork
from chassis.errors import Violation, invalid
from chassis.records import Draft
from kith.crm.v1.contacts_pb2 import Contact, ContactStatus
from kith.crm.v1.events_pb2 import ContactCreated, ContactDeleted, ContactPurged, ContactRestored, ContactUpdated
from services.crm.companies import store as companies
from services.crm.contacts import rules, store
from services.crm.reasons import Reason
from services.crm.records.actions import Events, Records
from services.crm.search.rules import Entry
from services.crm.tenants.actions import Regions

EVENTS: Final = Events(
    created=ContactCreated, updated=ContactUpdated, deleted=ContactDeleted, restored=ContactRestored, purged=ContactPurged
)


class Contacts(Records[Contact]):
    """The contacts of a tenant."""

    def __init__(self, regions: Regions) -> None:
        super().__init__("contact", Contact, store.STORE, EVENTS, regions)

    def tidy(self, before: Contact, after: Contact, region: str) -> None:
        """Bring a contact to the form in which it is kept."""
        rules.tidy(after, before, region)
        after.status = after.status or ContactStatus.CONTACT_STATUS_ACTIVE

    def check(self, record: Contact) -> Iterator[Violation]:
        """Yield what is wrong with a tidy contact."""
        yield from rules.check(record)
        if record.status not in ContactStatus.values():
            yield Violation("status", "is no status of a contact")

    def entry(self, record: Contact) -> Entry:
        """Return how a contact shows in answers of the search, and what it is found by there."""
        return rules.entry(record)

    async def check_references(self, work: UnitOfWork, drafts: Sequence[Draft[Contact]]) -> None:
        """Refuse drafts whose owner or company is not there."""
        await super().check_references(work, drafts)
        await _check_companies(work, drafts)

    async def written(self, work: UnitOfWork, drafts: Sequence[Draft[Contact]]) -> None:
        """Keep what the contacts are found by from now on, by the search and by their keys."""
        await super().written(work, drafts)
        await turns.give_way()
        rekeyed = await turns.mapped(lambda draft: (draft, rules.keys(draft.before), rules.keys(draft.after)), drafts)
        changed = [each for each in rekeyed if each[1] != each[2]]
        stale = [draft.before.id for draft, before, _ in changed if before]
        fresh = [(draft.after.id, kind, key) for draft, _, after in changed for kind, key in sorted(after)]
        if stale:
            await store.drop_keys(work, stale)
        if fresh:
            await store.add_keys(work, fresh)

    async def removed(self, work: UnitOfWork, ids: Sequence[str]) -> None:
        """Forget the keys of contacts."""
        await store.drop_keys(work, ids)

    async def leave_companies(self, work: UnitOfWork, before: datetime, most: int) -> int:
        """Take contacts out of companies that were deleted before a time, `most` of them at once; return how many there were."""
        drafts = [Draft(contact, self.copy(contact)) for contact in await store.lock_of_gone_companies(work, before, most)]
        for draft in drafts:
            draft.after.company_id = ""
        await self.write_changes(work, drafts)
        return len(drafts)


async def _check_companies(work: UnitOfWork, drafts: Sequence[Draft[Contact]]) -> None:
    """Refuse drafts that come to a company that is not there. A contact may stay in one that was deleted meanwhile."""
    moved = [draft for draft in drafts if draft.after.company_id not in {"", draft.before.company_id}]
    candidates = {draft.after.company_id for draft in moved if ids.valid(draft.after.company_id)}
    live = await companies.live(work, candidates) if candidates else set()
    for draft in moved:
        if draft.after.company_id not in live:
            draft.refuse(invalid(Reason.COMPANY_UNKNOWN, "company_id", "is no company, or a deleted one"))
