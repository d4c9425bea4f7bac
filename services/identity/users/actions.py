"""Taking a password and making a user: for those who register and for those who are added."""

from collections.abc import Iterable

from chassis import ids
from chassis.database import UnitOfWork
from chassis.errors import AlreadyExists, Violation, invalid
from chassis.records import begin
from kith.identity.v1.me_pb2 import User
from services.identity.reasons import Reason
from services.identity.rules import Email
from services.identity.users import store
from services.identity.users.hashing import Hasher


async def accept_password(hasher: Hasher, password: str, *, about: Iterable[str], field: str = "password") -> str:
    """Return the hash of a good password; refuse a weak one. `about` is what others know about the person."""
    weakness = await hasher.weakness(password, about)
    if weakness:
        raise invalid(Reason.PASSWORD_WEAK, field, weakness)
    return await hasher.hash(password)


async def create(work: UnitOfWork, user: User, *, email: Email, password_hash: str) -> User:
    """Make a user and return them as they are kept; refuse an address that has one."""
    user.email = email.address
    begin(user, ids.new(), work.now)
    if not await store.insert(work, user, email_key=email.key, password_hash=password_hash):
        violation = Violation("email", "another account has this address", Reason.EMAIL_TAKEN)
        raise AlreadyExists(Reason.EMAIL_TAKEN, "another account has this address", fields=[violation])
    return user
