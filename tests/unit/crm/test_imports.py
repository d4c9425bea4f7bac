"""Imports: who may run which, where no platform is needed."""

from typing import Any

import pytest

from chassis.context import Caller, CallerKind
from chassis.errors import PermissionDenied
from kith.crm.v1.imports_pb2 import IMPORT_COMPANIES_CREATE, IMPORT_COMPANIES_MATCH, Import, ImportColumn
from kith.crm.v1.parts_pb2 import RECORD_KIND_CONTACT
from kith.options.v1.permissions_pb2 import (
    PERMISSION_CRM_COMPANIES_READ,
    PERMISSION_CRM_COMPANIES_WRITE,
    PERMISSION_CRM_CONTACTS_WRITE,
)
from services.crm.imports import actions


def caller(*permissions: int) -> Caller:
    return Caller(kind=CallerKind.USER, permissions=sum(1 << number for number in permissions))


def wanted(companies: Any, field: str) -> Import:
    return Import(kind=RECORD_KIND_CONTACT, companies=companies, columns=[ImportColumn(field=field)])


ALLOWED = [
    ((PERMISSION_CRM_CONTACTS_WRITE,), wanted(IMPORT_COMPANIES_MATCH, "name")),
    ((PERMISSION_CRM_CONTACTS_WRITE, PERMISSION_CRM_COMPANIES_READ), wanted(IMPORT_COMPANIES_MATCH, "company.name")),
    (
        (PERMISSION_CRM_CONTACTS_WRITE, PERMISSION_CRM_COMPANIES_READ, PERMISSION_CRM_COMPANIES_WRITE),
        wanted(IMPORT_COMPANIES_CREATE, "company.domain"),
    ),
]


@pytest.mark.parametrize(("permissions", "current"), ALLOWED)
def test_companies_of_contacts_take_permissions_of_their_own(permissions: tuple[int, ...], current: Import) -> None:
    actions.must_run(caller(*permissions), current)
    for missing in permissions:
        with pytest.raises(PermissionDenied):
            actions.must_run(caller(*(each for each in permissions if each != missing)), current)
