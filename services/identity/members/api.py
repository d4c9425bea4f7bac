"""MemberService: who belongs to the caller's organisation."""

from chassis import errors
from chassis.database import unit_of_work
from chassis.interceptors.chain import Context
from chassis.listing import Ask
from kith.identity.v1.me_pb2 import User
from kith.identity.v1.members_pb2 import CreateMemberRequest, ListMembersRequest, ListMembersResponse, Member, Role
from kith.identity.v1.members_pb2_grpc import MemberServiceServicer
from services.identity import rules
from services.identity.members import actions, roles, store
from services.identity.reasons import Reason
from services.identity.tenants import store as tenants
from services.identity.users import actions as users
from services.identity.users import store as people
from services.identity.users.hashing import Hasher


class MemberService(MemberServiceServicer):
    """Lists members, and adds them for the operator's tools."""

    def __init__(self, hasher: Hasher) -> None:
        self._hasher = hasher

    async def ListMembers(self, request: ListMembersRequest, context: Context) -> ListMembersResponse:
        """Return one page of members by name."""
        async with unit_of_work() as work:
            members, next_page_token = await store.page(work, Ask.of(request))
            known = await people.by_ids(work, [member.id for member in members])
        for member in members:
            member.email, member.name = known[member.id].email, known[member.id].name
        return ListMembersResponse(members=members, next_page_token=next_page_token)

    async def CreateMember(self, request: CreateMemberRequest, context: Context) -> Member:
        """Add a person to the tenant that the service token names."""
        name, email = rules.tidy(request.member.name), rules.parse_email(request.member.email)
        errors.raise_for([*rules.email_violations("member.email", email), *rules.name_violations("member.name", name)])
        role = _role(request.member)
        async with unit_of_work() as work:
            work.keep_nothing()  # only looks, so that no connection waits for the hash
            tenant = await tenants.get(work)
        password_hash = await users.accept_password(self._hasher, request.password, about=(email.address, tenant.name, name))
        async with unit_of_work() as work:
            user = User(name=name, locale=tenant.locale, time_zone=tenant.time_zone)
            user = await users.create(work, user, email=email, password_hash=password_hash)
            return work.answer(await actions.join(work, user, role))


def _role(member: Member) -> Role.ValueType:
    if member.role not in roles.PERMISSIONS:
        raise errors.invalid(Reason.ROLE_UNKNOWN, "member.role", "must be one of the built-in roles")
    return member.role
