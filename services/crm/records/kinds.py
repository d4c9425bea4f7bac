"""Which messages of the contract are records: they have id, etag, owner, times, and can be deleted and restored."""

from typing import Final, TypeVar

from chassis.mapping import enum_names
from kith.crm.v1.companies_pb2 import Company
from kith.crm.v1.contacts_pb2 import Contact
from kith.crm.v1.parts_pb2 import RecordKind

R = TypeVar("R", Company, Contact)

_NAMES: Final = enum_names(RecordKind.DESCRIPTOR)
NOUNS: Final = {kind: _NAMES[kind] for kind in RecordKind.values() if kind}
"""The noun of each kind: RECORD_KIND_CONTACT is "contact"."""
KINDS: Final = {noun: kind for kind, noun in NOUNS.items()}
