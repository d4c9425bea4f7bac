"""ID-30: the built-in roles are a ladder, and everything that can be allowed is allowed to somebody."""

from itertools import pairwise

from kith.identity.v1.members_pb2 import Role
from kith.options.v1.grants_pb2 import Rung
from kith.options.v1.permissions_pb2 import Permission
from services.identity.members.roles import PERMISSIONS
from services.identity.members.store import ROLES


def test_every_role_of_the_contract_is_built_in_and_can_be_kept():
    assert set(PERMISSIONS) == set(Role.values()) - {Role.ROLE_UNSPECIFIED}
    assert [f"ROLE_{name.upper()}" for name in ROLES] == [value.name for value in Role.DESCRIPTOR.values if value.number]


def test_each_role_holds_what_the_one_below_it_holds():
    ladder = [Role.ROLE_READ_ONLY, Role.ROLE_MEMBER, Role.ROLE_MANAGER, Role.ROLE_ADMIN, Role.ROLE_OWNER]
    assert all(PERMISSIONS[lower] <= PERMISSIONS[higher] for lower, higher in pairwise(ladder))


def test_the_ladder_has_the_names_of_the_roles():
    names = {name.removeprefix("RUNG_") for name, number in Rung.items() if number}
    assert names == {name.removeprefix("ROLE_") for name, number in Role.items() if number} - {"BILLING"}


def test_the_owner_holds_every_permission_and_none_is_unspecified():
    assert PERMISSIONS[Role.ROLE_OWNER] == set(Permission.values()) - {Permission.PERMISSION_UNSPECIFIED}
    assert all(Permission.PERMISSION_UNSPECIFIED not in held for held in PERMISSIONS.values())


def test_roles_that_read_do_not_write():
    for role in (Role.ROLE_READ_ONLY, Role.ROLE_BILLING):
        assert all(Permission.Name(number).endswith("_READ") for number in PERMISSIONS[role])
