"""ContactService: message in, message out."""

from collections.abc import AsyncIterator

from google.api.httpbody_pb2 import HttpBody
from google.protobuf.empty_pb2 import Empty

from chassis.database import unit_of_work
from chassis.errors import raise_for
from chassis.interceptors.chain import Context
from chassis.listing import Ask
from kith.crm.v1.contacts_pb2 import (
    BatchDeleteContactsRequest,
    BatchDeleteContactsResponse,
    BatchGetContactsRequest,
    BatchGetContactsResponse,
    BatchUpdateContactsRequest,
    BatchUpdateContactsResponse,
    Contact,
    CreateContactRequest,
    DeleteContactRequest,
    ExportContactsRequest,
    GetContactRequest,
    ListContactsRequest,
    ListContactsResponse,
    RestoreContactRequest,
    UpdateContactRequest,
)
from kith.crm.v1.contacts_pb2_grpc import ContactServiceServicer
from services.crm.change_sets import batches
from services.crm.change_sets.batches import status_of
from services.crm.contacts import store
from services.crm.contacts.actions import Contacts
from services.crm.records import rules


class ContactService(ContactServiceServicer):
    """Keeps the people a tenant knows."""

    def __init__(self, contacts: Contacts) -> None:
        self._contacts = contacts

    async def GetContact(self, request: GetContactRequest, context: Context) -> Contact:
        """Return one contact, deleted or not."""
        async with unit_of_work() as work:
            return await self._contacts.show(work, request.id)

    async def BatchGetContacts(self, request: BatchGetContactsRequest, context: Context) -> BatchGetContactsResponse:
        """Return the contacts that exist, and which do not."""
        raise_for(rules.check_read(request.ids))
        async with unit_of_work() as work:
            found, missing = await self._contacts.get_many(work, request.ids)
        return BatchGetContactsResponse(contacts=found, missing_ids=missing)

    async def ListContacts(self, request: ListContactsRequest, context: Context) -> ListContactsResponse:
        """Return one page."""
        async with unit_of_work() as work:
            return store.PAGES.answer(await store.LISTING.page(work, Ask.of(request)))

    def ExportContacts(self, request: ExportContactsRequest, context: Context) -> AsyncIterator[HttpBody]:
        """Yield a view as a file."""
        return store.EXPORT.pieces(request)

    async def CreateContact(self, request: CreateContactRequest, context: Context) -> Contact:
        """Keep a new contact."""
        async with unit_of_work() as work:
            if request.validate_only:
                work.keep_nothing()
            return work.answer(await self._contacts.create(work, request.contact))

    async def UpdateContact(self, request: UpdateContactRequest, context: Context) -> Contact:
        """Change the masked fields of a contact."""
        async with unit_of_work() as work:
            (draft,) = await self._contacts.update(work, [(request.contact, request.update_mask)])
            return work.answer(draft.outcome())

    async def DeleteContact(self, request: DeleteContactRequest, context: Context) -> Empty:
        """Hide a contact until it is restored or purged."""
        async with unit_of_work() as work:
            (draft,) = await self._contacts.delete(work, [(request.id, request.etag)])
            draft.outcome()
            return work.answer(Empty())

    async def RestoreContact(self, request: RestoreContactRequest, context: Context) -> Contact:
        """Bring a deleted contact back."""
        async with unit_of_work() as work:
            (draft,) = await self._contacts.restore(work, [(request.id, request.etag)])
            return work.answer(draft.outcome())

    async def BatchUpdateContacts(self, request: BatchUpdateContactsRequest, context: Context) -> BatchUpdateContactsResponse:
        """Change many contacts, each for itself."""
        edits = [(each.contact, each.update_mask) for each in request.requests]
        async with unit_of_work() as work:
            drafts, change_set_id = await batches.update(work, self._contacts, edits)
            results = [BatchUpdateContactsResponse.Result(contact=draft.kept, status=status_of(draft)) for draft in drafts]
            return work.answer(BatchUpdateContactsResponse(results=results, change_set_id=change_set_id))

    async def BatchDeleteContacts(self, request: BatchDeleteContactsRequest, context: Context) -> BatchDeleteContactsResponse:
        """Hide many contacts, each for itself."""
        named = [(each.id, each.etag) for each in request.requests]
        async with unit_of_work() as work:
            drafts, change_set_id = await batches.delete(work, self._contacts, named)
            both = zip(request.requests, drafts, strict=True)
            results = [BatchDeleteContactsResponse.Result(id=asked.id, status=status_of(draft)) for asked, draft in both]
            return work.answer(BatchDeleteContactsResponse(results=results, change_set_id=change_set_id))
