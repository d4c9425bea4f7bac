"""ContactService: message in, message out."""

from collections.abc import AsyncIterator

from google.api.httpbody_pb2 import HttpBody
from google.protobuf.empty_pb2 import Empty

from chassis.database import unit_of_work
from chassis.errors import raise_for
from chassis.interceptors.chain import Context
from chassis.interceptors.errors import status
from chassis.listing import Ask
from kith.crm.v1.change_sets_pb2 import ChangeSetOrigin
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
from services.crm.change_sets import actions as change_sets
from services.crm.contacts import store
from services.crm.contacts.actions import Contacts
from services.crm.records import rules
from services.crm.records.drafts import Draft


class ContactService(ContactServiceServicer):
    """Keeps the people a tenant knows."""

    def __init__(self, contacts: Contacts) -> None:
        self._contacts = contacts

    async def GetContact(self, request: GetContactRequest, context: Context) -> Contact:
        """Return one contact, deleted or not."""
        async with unit_of_work() as work:
            return await self._contacts.get(work, request.id)

    async def BatchGetContacts(self, request: BatchGetContactsRequest, context: Context) -> BatchGetContactsResponse:
        """Return the contacts that exist, and which do not."""
        raise_for(list(rules.check_read(request.ids)))
        async with unit_of_work() as work:
            found, missing = await self._contacts.get_many(work, request.ids)
        return BatchGetContactsResponse(contacts=found, missing_ids=missing)

    async def ListContacts(self, request: ListContactsRequest, context: Context) -> ListContactsResponse:
        """Return one page."""
        async with unit_of_work() as work:
            rows, token = await store.LISTING.page(work, Ask.of(request))
        return ListContactsResponse(contacts=map(store.message, rows), next_page_token=token)

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
        raise_for(list(rules.check_written([each.contact.id for each in request.requests], "contact.id")))
        async with unit_of_work() as work:
            drafts = await self._contacts.update(work, [(each.contact, each.update_mask) for each in request.requests])
            change_set = await change_sets.keep(work, "contact", ChangeSetOrigin.CHANGE_SET_ORIGIN_BATCH_UPDATE, drafts)
            return work.answer(BatchUpdateContactsResponse(results=map(_updated, drafts), change_set_id=change_set))

    async def BatchDeleteContacts(self, request: BatchDeleteContactsRequest, context: Context) -> BatchDeleteContactsResponse:
        """Hide many contacts, each for itself."""
        ids = [each.id for each in request.requests]
        raise_for(list(rules.check_written(ids, "id")))
        async with unit_of_work() as work:
            drafts = await self._contacts.delete(work, [(each.id, each.etag) for each in request.requests])
            change_set = await change_sets.keep(work, "contact", ChangeSetOrigin.CHANGE_SET_ORIGIN_BATCH_DELETE, drafts)
            return work.answer(BatchDeleteContactsResponse(results=map(_deleted, ids, drafts), change_set_id=change_set))


def _updated(draft: Draft[Contact]) -> BatchUpdateContactsResponse.Result:
    if draft.refusal is not None:
        return BatchUpdateContactsResponse.Result(status=status(draft.refusal))
    return BatchUpdateContactsResponse.Result(contact=draft.after)


def _deleted(contact_id: str, draft: Draft[Contact]) -> BatchDeleteContactsResponse.Result:
    failed = status(draft.refusal) if draft.refusal is not None else None
    return BatchDeleteContactsResponse.Result(id=contact_id, status=failed)
