"""What crm reads from its environment beyond what every service does."""

from pydantic import Field

from chassis.settings import ServiceSettings


class CrmSettings(ServiceSettings):
    """Settings of crm."""

    search_miss_days: int = Field(30, ge=1, description="Days that the report of vain searches keeps what nobody searches for any more.")
