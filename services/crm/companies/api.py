"""CompanyService: message in, message out."""

from collections.abc import AsyncIterator

from google.api.httpbody_pb2 import HttpBody
from google.protobuf.empty_pb2 import Empty

from chassis.database import unit_of_work
from chassis.errors import raise_for
from chassis.interceptors.chain import Context
from chassis.listing import Ask
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
from services.crm.change_sets import batches
from services.crm.change_sets.batches import status_of
from services.crm.companies import store
from services.crm.companies.actions import Companies
from services.crm.records import rules


class CompanyService(CompanyServiceServicer):
    """Keeps the organisations a tenant does business with."""

    def __init__(self, companies: Companies) -> None:
        self._companies = companies

    async def GetCompany(self, request: GetCompanyRequest, context: Context) -> Company:
        """Return one company, deleted or not."""
        async with unit_of_work() as work:
            return await self._companies.show(work, request.id)

    async def BatchGetCompanies(self, request: BatchGetCompaniesRequest, context: Context) -> BatchGetCompaniesResponse:
        """Return the companies that exist, and which do not."""
        raise_for(rules.check_read(request.ids))
        async with unit_of_work() as work:
            found, missing = await self._companies.get_many(work, request.ids)
        return BatchGetCompaniesResponse(companies=found, missing_ids=missing)

    async def ListCompanies(self, request: ListCompaniesRequest, context: Context) -> ListCompaniesResponse:
        """Return one page."""
        async with unit_of_work() as work:
            return store.PAGES.answer(await store.LISTING.page(work, Ask.of(request)))

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
        edits = [(each.company, each.update_mask) for each in request.requests]
        async with unit_of_work() as work:
            drafts, change_set_id = await batches.update(work, self._companies, edits)
            results = [BatchUpdateCompaniesResponse.Result(company=draft.kept, status=status_of(draft)) for draft in drafts]
            return work.answer(BatchUpdateCompaniesResponse(results=results, change_set_id=change_set_id))

    async def BatchDeleteCompanies(self, request: BatchDeleteCompaniesRequest, context: Context) -> BatchDeleteCompaniesResponse:
        """Hide many companies, each for itself."""
        named = [(each.id, each.etag) for each in request.requests]
        async with unit_of_work() as work:
            drafts, change_set_id = await batches.delete(work, self._companies, named)
            both = zip(request.requests, drafts, strict=True)
            results = [BatchDeleteCompaniesResponse.Result(id=asked.id, status=status_of(draft)) for asked, draft in both]
            return work.answer(BatchDeleteCompaniesResponse(results=results, change_set_id=change_set_id))
