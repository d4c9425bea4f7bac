"""CompanyService: message in, message out."""

from collections.abc import AsyncIterator

from google.api.httpbody_pb2 import HttpBody
from google.protobuf.empty_pb2 import Empty

from chassis.database import unit_of_work
from chassis.errors import raise_for
from chassis.interceptors.chain import Context
from chassis.interceptors.errors import status
from chassis.listing import Ask
from kith.crm.v1.change_sets_pb2 import ChangeSetOrigin
from kith.crm.v1.companies_pb2 import (
    BatchDeleteCompaniesRequest,
    BatchDeleteCompaniesResponse,
    BatchGetCompaniesRequest,
    BatchGetCompaniesResponse,
    BatchUpdateCompaniesRequest,
    BatchUpdateCompaniesResponse,
    Company,
    CreateCompanyRequest,
    DeleteCompanyRequest,
    ExportCompaniesRequest,
    GetCompanyRequest,
    ListCompaniesRequest,
    ListCompaniesResponse,
    RestoreCompanyRequest,
    UpdateCompanyRequest,
)
from kith.crm.v1.companies_pb2_grpc import CompanyServiceServicer
from services.crm.change_sets import actions as change_sets
from services.crm.companies import store
from services.crm.companies.actions import Companies
from services.crm.records import rules
from services.crm.records.drafts import Draft


class CompanyService(CompanyServiceServicer):
    """Keeps the organisations a tenant does business with."""

    def __init__(self, companies: Companies) -> None:
        self._companies = companies

    async def GetCompany(self, request: GetCompanyRequest, context: Context) -> Company:
        """Return one company, deleted or not."""
        async with unit_of_work() as work:
            return await self._companies.get(work, request.id)

    async def BatchGetCompanies(self, request: BatchGetCompaniesRequest, context: Context) -> BatchGetCompaniesResponse:
        """Return the companies that exist, and which do not."""
        raise_for(list(rules.check_read(request.ids)))
        async with unit_of_work() as work:
            found, missing = await self._companies.get_many(work, request.ids)
        return BatchGetCompaniesResponse(companies=found, missing_ids=missing)

    async def ListCompanies(self, request: ListCompaniesRequest, context: Context) -> ListCompaniesResponse:
        """Return one page."""
        async with unit_of_work() as work:
            rows, token = await store.LISTING.page(work, Ask.of(request))
        return ListCompaniesResponse(companies=map(store.message, rows), next_page_token=token)

    def ExportCompanies(self, request: ExportCompaniesRequest, context: Context) -> AsyncIterator[HttpBody]:
        """Yield a view as a file."""
        return store.EXPORT.pieces(request)

    async def CreateCompany(self, request: CreateCompanyRequest, context: Context) -> Company:
        """Keep a new company."""
        async with unit_of_work() as work:
            if request.validate_only:
                work.keep_nothing()
            return work.answer(await self._companies.create(work, request.company))

    async def UpdateCompany(self, request: UpdateCompanyRequest, context: Context) -> Company:
        """Change the masked fields of a company."""
        async with unit_of_work() as work:
            (draft,) = await self._companies.update(work, [(request.company, request.update_mask)])
            return work.answer(draft.outcome())

    async def DeleteCompany(self, request: DeleteCompanyRequest, context: Context) -> Empty:
        """Hide a company until it is restored or purged."""
        async with unit_of_work() as work:
            (draft,) = await self._companies.delete(work, [(request.id, request.etag)])
            draft.outcome()
            return work.answer(Empty())

    async def RestoreCompany(self, request: RestoreCompanyRequest, context: Context) -> Company:
        """Bring a deleted company back."""
        async with unit_of_work() as work:
            (draft,) = await self._companies.restore(work, [(request.id, request.etag)])
            return work.answer(draft.outcome())

    async def BatchUpdateCompanies(self, request: BatchUpdateCompaniesRequest, context: Context) -> BatchUpdateCompaniesResponse:
        """Change many companies, each for itself."""
        raise_for(list(rules.check_written([each.company.id for each in request.requests], "company.id")))
        async with unit_of_work() as work:
            drafts = await self._companies.update(work, [(each.company, each.update_mask) for each in request.requests])
            change_set = await change_sets.keep(work, "company", ChangeSetOrigin.CHANGE_SET_ORIGIN_BATCH_UPDATE, drafts)
            return work.answer(BatchUpdateCompaniesResponse(results=map(_updated, drafts), change_set_id=change_set))

    async def BatchDeleteCompanies(self, request: BatchDeleteCompaniesRequest, context: Context) -> BatchDeleteCompaniesResponse:
        """Hide many companies, each for itself."""
        ids = [each.id for each in request.requests]
        raise_for(list(rules.check_written(ids, "id")))
        async with unit_of_work() as work:
            drafts = await self._companies.delete(work, [(each.id, each.etag) for each in request.requests])
            change_set = await change_sets.keep(work, "company", ChangeSetOrigin.CHANGE_SET_ORIGIN_BATCH_DELETE, drafts)
            return work.answer(BatchDeleteCompaniesResponse(results=map(_deleted, ids, drafts), change_set_id=change_set))


def _updated(draft: Draft[Company]) -> BatchUpdateCompaniesResponse.Result:
    if draft.refusal is not None:
        return BatchUpdateCompaniesResponse.Result(status=status(draft.refusal))
    return BatchUpdateCompaniesResponse.Result(company=draft.after)


def _deleted(company_id: str, draft: Draft[Company]) -> BatchDeleteCompaniesResponse.Result:
    failed = status(draft.refusal) if draft.refusal is not None else None
    return BatchDeleteCompaniesResponse.Result(id=company_id, status=failed)
