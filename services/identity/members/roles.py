"""The built-in roles: sets of permissions (ID-30). Who holds a permission from the start is said beside it in the contract."""

from collections.abc import Mapping
from typing import Final

from kith.identity.v1.members_pb2 import Role
from kith.options.v1.grants_pb2 import Grant, Rung, grant
from kith.options.v1.permissions_pb2 import Permission

Held = frozenset[Permission.ValueType]

_GRANTS: Final[Mapping[Permission.ValueType, Grant]] = {
    number: Permission.DESCRIPTOR.values_by_number[number].GetOptions().Extensions[grant] for number in Permission.values()
}


def _of_rung(rung: Rung.ValueType) -> Held:
    return frozenset(number for number, granted in _GRANTS.items() if Rung.RUNG_UNSPECIFIED < granted.lowest <= rung)


PERMISSIONS: Final[Mapping[Role.ValueType, Held]] = {
    Role.ROLE_OWNER: _of_rung(Rung.RUNG_OWNER),
    Role.ROLE_ADMIN: _of_rung(Rung.RUNG_ADMIN),
    Role.ROLE_MANAGER: _of_rung(Rung.RUNG_MANAGER),
    Role.ROLE_MEMBER: _of_rung(Rung.RUNG_MEMBER),
    Role.ROLE_READ_ONLY: _of_rung(Rung.RUNG_READ_ONLY),
    Role.ROLE_BILLING: frozenset(number for number, granted in _GRANTS.items() if granted.billing),
}
