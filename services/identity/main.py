"""Identity as a process: `python -m services.identity.main`."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing

from chassis.app import App, Platform, Wiring
from chassis.jobs import Job
from chassis.mail import Post
from chassis.mail.delivery import Delivery
from services.identity.attempts.actions import Attempts
from services.identity.attempts.jobs import purge_attempts
from services.identity.audit.api import AuditSealService, AuditService
from services.identity.audit.chain import Chain
from services.identity.auth.api import AuthService
from services.identity.auth.sign_in import SignIn
from services.identity.auth.sign_up import SignUp
from services.identity.keys.jobs import KeyJobs
from services.identity.keys.keyring import Keyring
from services.identity.mails.kinds import templates
from services.identity.me.api import MeService
from services.identity.members.api import MemberService
from services.identity.passwords.actions import Passwords
from services.identity.passwords.api import PasswordService
from services.identity.passwords.changes import Changes
from services.identity.passwords.jobs import purge_resets
from services.identity.passwords.resets import Resets
from services.identity.sessions.actions import Sessions
from services.identity.sessions.jobs import purge_sessions
from services.identity.settings import IdentitySettings
from services.identity.tenants.api import TenantService
from services.identity.users.hashing import Hasher
from services.identity.verifications.actions import Verifications
from services.identity.verifications.api import VerificationService
from services.identity.verifications.jobs import purge_verifications
from services.identity.warnings.actions import Warnings


@asynccontextmanager
async def wire(platform: Platform[IdentitySettings]) -> AsyncIterator[Wiring]:
    """Wire the rooms of identity."""
    settings = platform.settings
    keyring = Keyring(platform.vault)
    attempts = Attempts(free_per_address=settings.free_attempts_per_address)
    post = Post(platform.vault)
    warnings = Warnings(post)
    sessions = Sessions(issuer=settings.public_url, attempts=attempts, warnings=warnings)
    verifications = Verifications(post)
    system_dsn = settings.system_dsn.reveal()
    delivery = Delivery(settings, templates(), platform.vault, dsn=system_dsn, public_url=settings.public_url)
    hashing = Hasher(memory_kib=settings.password_memory_kib, passes=settings.password_passes)
    with closing(hashing) as hasher, closing(Chain(keyring, dsn=system_dsn)) as chain:
        sign_up = SignUp(hasher, keyring, sessions, verifications)
        sign_in = SignIn(hasher, keyring, sessions, attempts)
        auth = AuthService(sign_up, sign_in, sessions, keyring)
        audit = AuditService(platform.clients, keyring, platform.clients.names)
        replaced = Passwords(hasher, warnings)
        reset_attempts = Attempts(free_per_address=settings.free_attempts_per_address, of="reset")
        resets = Resets(replaced, post, attempts=reset_attempts, sign_ins=attempts)
        change_attempts = Attempts(free_per_address=settings.free_attempts_per_address, of="change")
        passwords = PasswordService(resets, Changes(hasher, replaced, attempts=change_attempts))
        people = [auth, MeService(), MemberService(hasher), TenantService(), VerificationService(verifications), passwords]
        async with delivery:
            yield Wiring(
                servicers=[*people, audit, AuditSealService(chain)],
                jobs=[
                    Job(KeyJobs(platform.vault, keyring).tend_keys, "*/10 * * * *"),
                    Job(purge_attempts, "42 * * * *"),
                    Job(purge_resets, "2 * * * *"),
                    Job(purge_sessions, "12 4 * * *"),
                    Job(purge_verifications, "52 * * * *"),
                ],
            )


if __name__ == "__main__":
    App("identity", wire, IdentitySettings).run()
