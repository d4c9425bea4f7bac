"""What the edge reads from its environment beside what every process reads."""

from typing import Annotated

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import NoDecode

from chassis.settings import ServerSettings
from gateway.limits import STARTING, Rate, Tier

_List = Annotated[tuple[str, ...], NoDecode]


class EdgeSettings(ServerSettings):
    """Settings of the edge."""

    share_port: bool = Field(default=False, description="Whether other processes of the edge listen on the same port (SO_REUSEPORT).")
    cors_origins: _List = Field((), description="Origins of other sites whose scripts may call the API, with commas between them.")
    trusted_proxies: _List = Field((), description="Networks of the proxies whose X-Forwarded-For is believed, with commas between them.")
    rate_limits: dict[str, Tier] = Field(
        default_factory=dict,
        description='Limits instead of the starting ones: {"WRITE": {"principal": {"count": 120, "seconds": 60, "burst": 30}}}.',
    )
    rate_scale: float = Field(1.0, gt=0, description="Factor on every limit, for tests and benches.")
    nats_url: SecretStr = Field(description="NATS, with the edge's user and password.")
    live_streams: int = Field(5000, ge=1, description="Live streams at the most; more are refused with 503.")
    live_streams_each: int = Field(50, ge=1, description="Live streams of one person at the most; more are refused with 429.")
    concurrent_requests: int = Field(1000, ge=1, description="Requests in flight at the most; more are refused with 503.")
    concurrent_calls: int = Field(200, ge=1, description="Calls of one rate tier to one service at once; a few more wait for a moment.")
    concurrent_writes: int = Field(64, ge=1, description="The same for writes.")
    header_bytes: int = Field(32 * 1024, ge=1024, description="Bytes of all headers of a request at the most.")
    url_bytes: int = Field(16 * 1024, ge=1024, description="Bytes of path and query at the most.")
    body_bytes: int = Field(1024 * 1024, ge=1, description="Bytes of a body that is read whole.")
    upload_bytes: int = Field(512 * 1024 * 1024, ge=1, description="Bytes of a body that is streamed; the service may take less.")
    body_seconds: float = Field(10, gt=0, description="Time for a whole body to arrive, and for the next piece of a streamed one.")
    call_seconds: float = Field(10, gt=0, description="Time that a call may take when the contract says nothing.")
    upload_seconds: float = Field(600, gt=0, description="Time that an upload may take when the contract says nothing.")

    @field_validator("cors_origins", "trusted_proxies", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value

    @field_validator("rate_limits")
    @classmethod
    def _known(cls, value: dict[str, Tier]) -> dict[str, Tier]:
        unknown = value.keys() - STARTING.keys()
        if unknown:
            raise ValueError(f"no such tier: {', '.join(sorted(unknown))}")
        return value

    def tiers(self) -> dict[str, Tier]:
        """Return the limits that are in force."""
        return {name: _scaled(tier, self.rate_scale) for name, tier in {**STARTING, **self.rate_limits}.items()}


def _scaled(tier: Tier, factor: float) -> Tier:
    return Tier(principal=_rate(tier.principal, factor), tenant=_rate(tier.tenant, factor) if tier.tenant else None)


def _rate(rate: Rate, factor: float) -> Rate:
    return Rate(count=rate.count * factor, seconds=rate.seconds, burst=max(1, round(rate.burst * factor)))
