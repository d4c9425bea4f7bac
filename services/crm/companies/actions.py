"""What is done with companies, whoever asks."""

from collections.abc import Iterable
from typing import Final

from chassis.errors import Violation
from kith.crm.v1.companies_pb2 import Company
from kith.crm.v1.events_pb2 import CompanyCreated, CompanyDeleted, CompanyPurged, CompanyRestored, CompanyUpdated
from services.crm.companies import rules, store
from services.crm.records.actions import Events, Records
from services.crm.search.rules import Entry
from services.crm.tenants.actions import Regions

EVENTS: Final = Events(
    created=CompanyCreated, updated=CompanyUpdated, deleted=CompanyDeleted, restored=CompanyRestored, purged=CompanyPurged
)


class Companies(Records[Company]):
    """The companies of a tenant."""

    def __init__(self, regions: Regions) -> None:
        super().__init__("company", Company, store.STORE, EVENTS, regions)

    def tidy(self, before: Company, after: Company, region: str) -> None:
        """Bring a company to the form in which it is kept."""
        rules.tidy(after, before, region)

    def check(self, record: Company) -> Iterable[Violation]:
        """Yield what is wrong with a tidy company."""
        return rules.check(record)

    def entry(self, record: Company) -> Entry:
        """Return how a company shows in answers of the search, and what it is found by there."""
        return rules.entry(record)
