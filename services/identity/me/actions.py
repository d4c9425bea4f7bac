"""What people see of themselves, in their own answer and in that of every sign-in."""

from chassis.database import UnitOfWork
from chassis.errors import NotFound, Reason
from kith.identity.v1.me_pb2 import Me
from kith.identity.v1.members_pb2 import Member
from services.identity.members import roles
from services.identity.tenants import store as tenants
from services.identity.users import store as users


async def describe(work: UnitOfWork, member: Member) -> Me:
    """Return a member's user, organisation, role and permissions."""
    user = await users.STORE.get(work, member.id)
    if user is None:
        raise NotFound(Reason.NOT_FOUND, "no such user")
    return Me(user=user, tenant=await tenants.get(work), role=member.role, permissions=sorted(roles.PERMISSIONS[member.role]))
