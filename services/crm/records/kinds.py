"""Which messages of the contract are records: they have id, etag, owner, times, and can be deleted and restored."""

from typing import TypeVar

from kith.crm.v1.companies_pb2 import Company
from kith.crm.v1.contacts_pb2 import Contact

R = TypeVar("R", Company, Contact)
