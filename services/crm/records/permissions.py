"""Which permission reads and writes which kind of record, for calls that name the kind in their request."""

from typing import Final

from chassis import permissions
from chassis.context import Caller
from kith.crm.v1.parts_pb2 import RecordKind
from kith.options.v1.permissions_pb2 import (
    PERMISSION_CRM_COMPANIES_READ,
    PERMISSION_CRM_COMPANIES_WRITE,
    PERMISSION_CRM_CONTACTS_READ,
    PERMISSION_CRM_CONTACTS_WRITE,
)

READ: Final = {
    RecordKind.RECORD_KIND_CONTACT: PERMISSION_CRM_CONTACTS_READ,
    RecordKind.RECORD_KIND_COMPANY: PERMISSION_CRM_COMPANIES_READ,
}
_WRITE: Final = {
    RecordKind.RECORD_KIND_CONTACT: PERMISSION_CRM_CONTACTS_WRITE,
    RecordKind.RECORD_KIND_COMPANY: PERMISSION_CRM_COMPANIES_WRITE,
}


def must_read(caller: Caller, kind: RecordKind.ValueType) -> None:
    """Refuse a caller who may not read records of the kind."""
    permissions.must(caller, READ[kind])


def must_write(caller: Caller, kind: RecordKind.ValueType) -> None:
    """Refuse a caller who may not write records of the kind."""
    permissions.must(caller, _WRITE[kind])
