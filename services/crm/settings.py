"""What crm reads from its environment beyond what every service does."""

from pydantic import Field

from chassis.settings import ServiceSettings


class CrmSettings(ServiceSettings):
    """Settings of crm."""

    search_miss_days: int = Field(30, ge=1, description="Days that the report of vain searches keeps what nobody searches for any more.")
    runs_at_once: int = Field(
        3, ge=1, le=20, description="Imports and reverts that are done side by side; each may keep a connection of the pool throughout."
    )
