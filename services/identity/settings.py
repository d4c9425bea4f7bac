"""What identity reads from its environment beside what every service does."""

from pydantic import Field

from chassis.settings import ServiceSettings


class IdentitySettings(ServiceSettings):
    """Settings of identity."""

    password_memory_kib: int = Field(
        19_456, ge=8_192, description="Memory of one Argon2id hash in KiB; 47104 with one pass is the stronger profile."
    )
    password_passes: int = Field(2, ge=1, le=10, description="Passes of one Argon2id hash over its memory.")
    free_attempts_per_address: int = Field(30, ge=1, description="Failed sign-ins from one address in 15 minutes before it is slowed.")
