"""What the edge reads from its environment beside what every process reads."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from chassis.environment import Secret, json_object, setting
from chassis.settings import ServerSettings
from gateway.limits import STARTING, Rate, Tier


def _tiers(text: str) -> dict[str, Tier]:
    said = json_object(text)
    if unknown := said.keys() - STARTING.keys():
        raise ValueError(f"knows no tier {', '.join(sorted(unknown))}")
    return {name: _tier(each) for name, each in said.items()}


def _tier(said: Mapping[str, Any]) -> Tier:
    try:
        return Tier(**{name: Rate(**rate) for name, rate in said.items() if rate is not None})
    except (AttributeError, TypeError):
        raise ValueError("must give a tier the rates principal and perhaps tenant, and each of them count, seconds and burst") from None


@dataclass(frozen=True, kw_only=True)
class EdgeSettings(ServerSettings):
    """Settings of the edge."""

    share_port: bool = setting(default=False, says="Whether other processes of the edge listen on the same port (SO_REUSEPORT).")
    cors_origins: tuple[str, ...] = setting((), says="Origins of other sites whose scripts may call the API, with commas between them.")
    trusted_proxies: tuple[str, ...] = setting(
        (), says="Networks of the proxies whose X-Forwarded-For is believed, with commas between them."
    )
    rate_limits: dict[str, Tier] = setting(
        default_factory=dict,
        reader=_tiers,
        says='Limits instead of the starting ones: {"WRITE": {"principal": {"count": 120, "seconds": 60, "burst": 30}}}.',
    )
    rate_scale: float = setting(1.0, above=0, says="Factor on every limit, for tests and benches.")
    nats_url: Secret = setting(says="NATS, with the edge's user and password.")
    live_streams: int = setting(5000, least=1, says="Live streams at the most; more are refused with 503.")
    live_streams_each: int = setting(50, least=1, says="Live streams of one person at the most; more are refused with 429.")
    concurrent_requests: int = setting(1000, least=1, says="Requests in flight at the most; more are refused with 503.")
    concurrent_calls: int = setting(200, least=1, says="Calls of one rate tier to one service at once; a few more wait for a moment.")
    concurrent_writes: int = setting(64, least=1, says="The same for writes.")
    header_bytes: int = setting(32 * 1024, least=1024, says="Bytes of all headers of a request at the most.")
    url_bytes: int = setting(16 * 1024, least=1024, says="Bytes of path and query at the most.")
    body_bytes: int = setting(1024 * 1024, least=1, says="Bytes of a body that is read whole.")
    upload_bytes: int = setting(512 * 1024 * 1024, least=1, says="Bytes of a body that is streamed; the service may take less.")
    body_seconds: float = setting(10, above=0, says="Time for a whole body to arrive, and for the next piece of a streamed one.")
    call_seconds: float = setting(10, above=0, says="Time that a call may take when the contract says nothing.")
    upload_seconds: float = setting(600, above=0, says="Time that an upload may take when the contract says nothing.")

    def tiers(self) -> dict[str, Tier]:
        """Return the limits that are in force."""
        return {name: _scaled(tier, self.rate_scale) for name, tier in {**STARTING, **self.rate_limits}.items()}


def _scaled(tier: Tier, factor: float) -> Tier:
    return Tier(principal=_rate(tier.principal, factor), tenant=_rate(tier.tenant, factor) if tier.tenant else None)


def _rate(rate: Rate, factor: float) -> Rate:
    return Rate(count=rate.count * factor, seconds=rate.seconds, burst=max(1, round(rate.burst * factor)))
