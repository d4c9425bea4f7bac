"""Registering: an organisation, its owner, the owner's first session and the mail that verifies their address, in one unit of work."""

from chassis import errors, ids
from chassis.database import UnitOfWork, unit_of_work
from chassis.records import begin
from kith.identity.v1.auth_pb2 import RegisterRequest, Session
from kith.identity.v1.events_pb2 import TenantCreated
from kith.identity.v1.me_pb2 import User
from kith.identity.v1.members_pb2 import Role
from kith.identity.v1.tenants_pb2 import Tenant
from services.identity.auth.rules import Registration
from services.identity.keys.keyring import Keyring
from services.identity.members import actions as members
from services.identity.sessions.actions import Sessions
from services.identity.tenants import store as tenants
from services.identity.users import actions as users
from services.identity.users.hashing import Hasher
from services.identity.users.store import Address
from services.identity.verifications.actions import Verifications


class SignUp:
    """Registers organisations."""

    def __init__(self, hasher: Hasher, keyring: Keyring, sessions: Sessions, verifications: Verifications) -> None:
        self._hasher = hasher
        self._keyring = keyring
        self._sessions = sessions
        self._verifications = verifications

    async def register(self, request: RegisterRequest) -> Session:
        """Create what is asked for and sign the owner in. The password is hashed before the address is looked up, taken or not."""
        wanted = Registration.of(
            organisation=request.organisation,
            email=request.email,
            name=request.name,
            locale=request.locale,
            time_zone=request.time_zone,
            region=request.region,
        )
        errors.raise_for([*wanted.violations()])
        password_hash = await users.accept_password(self._hasher, request.password, about=wanted.telling())
        keys = await self._keyring.current()
        async with unit_of_work(ids.new()) as work:
            user = User(name=wanted.name, locale=wanted.locale, time_zone=wanted.time_zone)
            user = await users.create(work, user, email=wanted.email, password_hash=password_hash)
            await _found(work, wanted)
            await self._verifications.begin(work, user.id, Address(user.email, wanted.email.key, user.locale))
            member = await members.join(work, user, Role.ROLE_OWNER)
            return await self._sessions.open(work, keys, member)


async def _found(work: UnitOfWork, wanted: Registration) -> None:
    """Create the organisation that the unit of work is bound to."""
    tenant = Tenant(name=wanted.organisation, locale=wanted.locale, time_zone=wanted.time_zone, region=wanted.region)
    begin(tenant, work.tenant_id, work.now)
    await tenants.STORE.insert(work, tenant)
    work.publish(TenantCreated(tenant=tenant))
