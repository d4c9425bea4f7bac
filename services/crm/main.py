"""The crm service as a process: `python -m services.crm.main`."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from chassis.app import App, Platform, Wiring
from chassis.background import task
from kith.identity.v1.tenants_pb2_grpc import TenantServiceStub
from services.crm.change_sets import revert
from services.crm.change_sets.api import ChangeSetService
from services.crm.companies.actions import Companies
from services.crm.companies.api import CompanyService
from services.crm.contacts.actions import Contacts
from services.crm.contacts.api import ContactService
from services.crm.imports import actions as imports
from services.crm.imports.api import ImportService
from services.crm.imports.matching import CompanyMatcher, ContactMatcher
from services.crm.imports.running import Forget, ImportRunner, Noun
from services.crm.members import events as members
from services.crm.records import permissions
from services.crm.records.jobs import Purge
from services.crm.records.kinds import KINDS
from services.crm.runs.worker import Worker
from services.crm.search.actions import Box, Kind
from services.crm.search.api import SearchService
from services.crm.search_misses import actions as search_misses
from services.crm.search_misses.api import SearchMissService
from services.crm.search_misses.jobs import Forgetting
from services.crm.settings import CrmSettings
from services.crm.tenants import events as tenants
from services.crm.tenants.actions import Regions


@asynccontextmanager
async def wire(platform: Platform[CrmSettings]) -> AsyncIterator[Wiring]:
    """Wire the rooms of crm; identity is asked only for tenants whose events have not come yet."""
    regions = Regions(TenantServiceStub(platform.clients.channel()).GetTenant)
    contacts, companies = Contacts(regions), Companies(regions)
    # Contacts before companies: one that is gone leaves nobody behind, and nobody stays in one that goes.
    purge = Purge([contacts.purge, contacts.leave_companies, companies.purge])
    undoing = revert.Revert({each.noun: each for each in (contacts, companies)})
    importing = ImportRunner({"contact": Noun(contacts, ContactMatcher()), "company": Noun(companies, CompanyMatcher())}, undoing)
    worker = Worker(
        platform.database,
        {revert.KIND: undoing, imports.RUN: importing, imports.FORGET: Forget()},
        slots=platform.settings.runs_at_once,
    )
    box = Box([Kind(KINDS[each.noun], permissions.READ[KINDS[each.noun]], each) for each in (contacts, companies)])
    forgetting = Forgetting(platform.settings.search_miss_days)
    async with task(worker.work(), name="runs"), search_misses.kept(platform.database) as misses:
        yield Wiring(
            servicers=[
                ContactService(contacts),
                CompanyService(companies),
                ChangeSetService(),
                ImportService(),
                SearchService(box, misses.hear),
                SearchMissService(box),
            ],
            handlers=[tenants.HANDLERS, members.HANDLERS],
            jobs=[*purge.jobs(), *forgetting.jobs()],
        )


if __name__ == "__main__":
    App("crm", wire, CrmSettings).run()
