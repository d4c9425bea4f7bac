"""Joining an organisation: by registering it, or by being added to it."""

from chassis.database import UnitOfWork
from chassis.records import begin
from kith.identity.v1.events_pb2 import MemberCreated
from kith.identity.v1.me_pb2 import User
from kith.identity.v1.members_pb2 import Member, Role
from services.identity.members import store


async def join(work: UnitOfWork, user: User, role: Role.ValueType) -> Member:
    """Make a user a member of the unit of work's tenant, and say so."""
    member = Member(role=role, email=user.email, name=user.name)
    begin(member, user.id, work.now)
    await store.insert(work, member)
    work.publish(MemberCreated(member=member))
    return member
