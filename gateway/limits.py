"""Rate limits by tier: the generic cell rate algorithm, one number per principal. `sharing` lets edges hold them together."""

import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

from chassis.errors import Reason
from chassis.telemetry import metrics
from gateway.problems import Header, Problem

Clock = Callable[[], float]

MAX_KEYS: Final = 200_000  # principals that are remembered in one table, about 30 MB; the least recently seen are forgotten first


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """So many calls in so many seconds, of which `burst` may come at once. ValueError if none may ever come."""

    count: float
    seconds: float = 60
    burst: int

    def __post_init__(self) -> None:
        if not (self.count > 0 and self.seconds > 0 and type(self.burst) is int and self.burst >= 1):
            raise ValueError("must give a rate a count and seconds above 0, and a burst of at least 1, a whole number")


@dataclass(frozen=True, slots=True, kw_only=True)
class Tier:
    """The limits of one tier: of each principal, and of its whole tenant."""

    principal: Rate
    tenant: Rate | None = None


STARTING: Final[Mapping[str, Tier]] = {
    "ANON": Tier(principal=Rate(count=60, burst=20)),
    "AUTH": Tier(principal=Rate(count=10, seconds=300, burst=10)),
    "READ": Tier(principal=Rate(count=600, burst=100), tenant=Rate(count=6000, burst=1000)),
    "WRITE": Tier(principal=Rate(count=120, burst=30), tenant=Rate(count=1200, burst=300)),
    "HEAVY": Tier(principal=Rate(count=10, burst=4), tenant=Rate(count=60, burst=20)),
    "AI": Tier(principal=Rate(count=10, burst=4), tenant=Rate(count=60, burst=20)),
}
"""Starting values (reference/identity.md 3.9)."""


class Answer(NamedTuple):
    """What a bucket says to one call: how many more it has, or how long to wait."""

    allowed: bool
    remaining: int
    reset: float


class Buckets:
    """The buckets of one rate by key. A bucket is the time at which it would be full again (TAT), so a full one need not be kept."""

    def __init__(self, rate: Rate, *, clock: Clock, max_keys: int = MAX_KEYS) -> None:
        self._interval = rate.seconds / rate.count
        self._tolerance = self._interval * rate.burst
        self._clock = clock
        self._max_keys = max_keys
        self._full_at: dict[str, float] = {}
        self._news: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._full_at)

    def take(self, key: str) -> Answer:
        """Count a call, unless the bucket is empty."""
        now = self._clock()
        full_at = max(self._full_at.pop(key, now), now)
        used = full_at - now + self._interval
        if used > self._tolerance * (1 + 1e-9):
            self._full_at[key] = full_at
            return Answer(allowed=False, remaining=0, reset=used - self._tolerance)
        self._full_at[key] = full_at + self._interval
        self._news[key] = self._news.get(key, 0) + 1
        self._forget()
        return Answer(allowed=True, remaining=int((self._tolerance - used) / self._interval + 1e-9), reset=used)

    def add(self, counts: Mapping[str, int]) -> None:
        """Count calls that another edge let through; a bucket may owe some then."""
        now = self._clock()
        for key, count in counts.items():
            self._full_at[key] = max(self._full_at.pop(key, now), now) + self._interval * count
            self._forget()

    def news(self) -> Mapping[str, int]:
        """Return how many calls were let through by key since the last time that somebody asked."""
        news, self._news = self._news, {}
        return news

    def _forget(self) -> None:
        """Keep memory bounded."""
        if len(self._full_at) > self._max_keys:
            del self._full_at[next(iter(self._full_at))]
        if len(self._news) > self._max_keys:
            self._news.clear()


class TierLimit:
    """The limit that the calls of one tier share."""

    def __init__(self, name: str, tier: Tier, *, clock: Clock = time.monotonic) -> None:
        self._tier = name
        self._name = name.lower()
        self._principals = Buckets(tier.principal, clock=clock)
        self._tenants = Buckets(tier.tenant, clock=clock) if tier.tenant else None
        self._policy = (b"ratelimit-policy", _policy(self._name, tier))

    def buckets(self) -> Iterator[tuple[str, Buckets]]:
        """Yield the buckets of principals and of tenants, each with its name among all edges."""
        yield self._name, self._principals
        if self._tenants is not None:
            yield f"{self._name}-tenant", self._tenants

    def take(self, *, principal: str, tenant: str) -> tuple[Header, Header]:
        """Count a call and return the headers that say what is left (draft-ietf-httpapi-ratelimit-headers); raise a 429 if nothing is."""
        answer = self._principals.take(principal)
        name = self._name
        if answer.allowed and tenant and self._tenants is not None:
            whole = self._tenants.take(tenant)
            if not whole.allowed:
                answer, name = whole, f"{name}-tenant"
        state = (b"ratelimit", f'"{name}";r={answer.remaining};t={math.ceil(answer.reset)}'.encode())
        if not answer.allowed:
            metrics.RATE_LIMITED.labels(self._tier).inc()
            raise Problem(
                429,
                Reason.RATE_LIMITED,
                "Too many calls; try again later.",
                metadata={"tier": self._tier},
                retry_after=max(1, math.ceil(answer.reset)),
                headers=(self._policy, state),
            )
        return self._policy, state


def _policy(name: str, tier: Tier) -> bytes:
    rates = {name: tier.principal} | ({f"{name}-tenant": tier.tenant} if tier.tenant else {})
    return ", ".join(f'"{key}";q={rate.count:g};w={rate.seconds:g}' for key, rate in rates.items()).encode()
