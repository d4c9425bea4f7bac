"""What identity reads from its environment beside what every service does."""

from dataclasses import dataclass

from chassis.environment import setting
from chassis.mail.settings import MailSettings
from chassis.settings import ServiceSettings


@dataclass(frozen=True, kw_only=True)
class IdentitySettings(ServiceSettings, MailSettings):
    """Settings of identity."""

    password_memory_kib: int = setting(
        19_456, least=8_192, says="Memory of one Argon2id hash in KiB; 47104 with one pass is the stronger profile."
    )
    password_passes: int = setting(2, least=1, most=10, says="Passes of one Argon2id hash over its memory.")
    free_attempts_per_address: int = setting(30, least=1, says="Failed sign-ins from one address in 15 minutes before it is slowed.")
