"""Joining an organisation: by registering it, or by being added to it."""

from chassis import texts
from chassis.database import UnitOfWork
from kith.identity.v1.events_pb2 import MemberCreated
from kith.identity.v1.me_pb2 import User
from kith.identity.v1.members_pb2 import Member, Role
from services.identity.members import store


async def join(work: UnitOfWork, user: User, role: Role.ValueType) -> Member:
    """Make a user a member of the unit of work's tenant, and say so."""
    member = await store.insert(work, user.id, role, name_key=texts.bare(user.name))
    member.email, member.name = user.email, user.name
    work.publish(MemberCreated(member=member))
    return member
