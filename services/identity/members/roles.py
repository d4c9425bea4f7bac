"""The built-in roles: named sets of permissions (ID-30). A new permission is given to the owner by itself, to the others here."""

from collections.abc import Mapping
from typing import Final

from kith.identity.v1.members_pb2 import Role
from kith.options.v1.permissions_pb2 import (
    PERMISSION_CRM_CHANGE_SETS_READ,
    PERMISSION_CRM_CHANGE_SETS_WRITE,
    PERMISSION_CRM_COMPANIES_READ,
    PERMISSION_CRM_COMPANIES_WRITE,
    PERMISSION_CRM_CONTACTS_READ,
    PERMISSION_CRM_CONTACTS_WRITE,
    PERMISSION_CRM_IMPORTS_READ,
    PERMISSION_CRM_IMPORTS_WRITE,
    PERMISSION_IDENTITY_MEMBERS_READ,
    Permission,
)

_BILLING: Final = frozenset({PERMISSION_IDENTITY_MEMBERS_READ})
_READ_ONLY: Final = frozenset({PERMISSION_IDENTITY_MEMBERS_READ, PERMISSION_CRM_CONTACTS_READ, PERMISSION_CRM_COMPANIES_READ})
_MEMBER: Final = _READ_ONLY | {
    PERMISSION_CRM_CONTACTS_WRITE,
    PERMISSION_CRM_COMPANIES_WRITE,
    PERMISSION_CRM_CHANGE_SETS_READ,
    PERMISSION_CRM_CHANGE_SETS_WRITE,
    PERMISSION_CRM_IMPORTS_READ,
    PERMISSION_CRM_IMPORTS_WRITE,
}
_MANAGER: Final = _MEMBER
_ADMIN: Final = _MANAGER
_OWNER: Final = frozenset(number for number in Permission.values() if number)

PERMISSIONS: Final[Mapping[Role.ValueType, frozenset[Permission.ValueType]]] = {
    Role.ROLE_OWNER: _OWNER,
    Role.ROLE_ADMIN: _ADMIN,
    Role.ROLE_MANAGER: _MANAGER,
    Role.ROLE_MEMBER: _MEMBER,
    Role.ROLE_READ_ONLY: _READ_ONLY,
    Role.ROLE_BILLING: _BILLING,
}
