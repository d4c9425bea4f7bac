"""What `kith reindex` does after a release that changes what records are found by.

The service may run meanwhile. Records that are up to date are left alone, so that one that was interrupted goes on where it was.
"""

from typing import Final

from google.protobuf.empty_pb2 import Empty

from chassis.context import enter_as
from chassis.database import NO_TENANT, Database, unit_of_work
from kith.crm.v1.companies_pb2 import Company
from kith.crm.v1.contacts_pb2 import Contact
from kith.identity.v1.tenants_pb2 import Tenant
from services.crm.companies.actions import Companies
from services.crm.contacts.actions import Contacts
from services.crm.records.actions import Records
from services.crm.tenants.actions import Regions

MOST: Final = 500
"""Records in one transaction."""

FIRST: Final = "00000000-0000-0000-0000-000000000000"


async def reindex(migrator_dsn: str, runtime_dsn: str) -> int:
    """Renew what records are found by, tenant by tenant; return how many had to be. The migrator alone sees which tenants there are."""
    regions = Regions(_unasked)
    nouns: list[Records[Contact] | Records[Company]] = [Contacts(regions), Companies(regions)]
    async with Database(migrator_dsn, size=1) as database:
        enter_as("crm", database, origin="reindex")
        async with unit_of_work(NO_TENANT) as work:
            turns = [(noun, tenant_id) for noun in nouns for tenant_id in sorted(await noun.store.tenants(work))]
    async with Database(runtime_dsn, size=1) as database:
        enter_as("crm", database, origin="reindex")
        return sum([await _renew(noun, tenant_id) for noun, tenant_id in turns])


async def _renew(noun: Records[Contact] | Records[Company], tenant_id: str) -> int:
    count, last = 0, FIRST
    while True:
        async with unit_of_work(tenant_id) as work:
            renewed = await noun.renew_entries(work, last, MOST)
        if not renewed:
            return count
        count, last = count + len(renewed), renewed[-1]


async def _unasked(_: Empty) -> Tenant:
    raise LookupError("no phone number is read anew here")
