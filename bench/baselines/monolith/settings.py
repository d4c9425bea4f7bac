"""What the monolith reads from its environment."""

from functools import cache

from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """Settings, prefix `MONOLITH_`."""

    model_config = SettingsConfigDict(env_prefix="MONOLITH_")

    database_url: str
    """SQLAlchemy URL of the monolith's own database."""
    public_key: str
    """JSON Web Key that access tokens are checked against."""
    pool_size: int = 10


@cache
def settings() -> Settings:
    """Return the settings, read at the first use."""
    return Settings.model_validate({})
