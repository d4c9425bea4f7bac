"""What crm reads from its environment beyond what every service does."""

from dataclasses import dataclass

from chassis.environment import setting
from chassis.settings import ServiceSettings


@dataclass(frozen=True, kw_only=True)
class CrmSettings(ServiceSettings):
    """Settings of crm."""

    search_miss_days: int = setting(30, least=1, says="Days that the report of vain searches keeps what nobody searches for any more.")
    runs_at_once: int = setting(
        3, least=1, most=20, says="Imports and reverts that are done side by side; each may keep a connection of the pool throughout."
    )
