"""How fast somebody may guess: a few attempts at once, then one after a delay that doubles up to a cap (ID-3).

The cap is what keeps an owner from being locked out: whoever waits it out gets the next attempt. Addresses from which the account was
signed in to before do not wait for the account's sake at all.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from ipaddress import IPv6Address, ip_address, ip_network
from typing import Final


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """So many attempts are free; each further one waits twice as long as the one before, up to the cap; a quiet time forgets them all."""

    free: int
    cap: timedelta
    forget: timedelta
    first: timedelta = timedelta(seconds=1)

    def wait(self, failures: int) -> timedelta:
        """Return how long after its last attempt somebody with so many failures waits."""
        beyond = failures - self.free
        if beyond < 0:
            return timedelta(0)
        return min(self.cap, self.first * (1 << min(beyond, 30)))


CAP: Final = timedelta(minutes=1)
FORGET: Final = timedelta(minutes=15)
ACCOUNT: Final = Pace(free=5, cap=CAP, forget=FORGET)
KEPT: Final = timedelta(days=1)  # no pace looks back further


def address_pace(free: int) -> Pace:
    """Return the pace of an address. A whole office may share one, so how much is free is a setting."""
    return Pace(free=free, cap=CAP, forget=FORGET)


@dataclass(frozen=True, slots=True)
class Count:
    """Attempts under one key that failed or are not decided yet, and the time of the last one."""

    failures: int
    last_time: datetime


def remaining(pace: Pace, count: Count, now: datetime) -> timedelta:
    """Return how long to wait before the next attempt; nothing when it may be made now."""
    wait = pace.wait(current(pace, count, now))
    # Another attempt that began later may have been counted first, so the last one may lie ahead of now.
    return max(timedelta(0), count.last_time + wait - now) if wait else wait


def current(pace: Pace, count: Count, now: datetime) -> int:
    """Return the failures that still count."""
    return 0 if now - count.last_time >= pace.forget else count.failures


def account_key(email_key: str) -> str:
    """Return the key under which attempts on an account are counted: the same whether it exists or not, and not readable."""
    return "account:" + sha256(email_key.encode()).hexdigest()


def address_key(address: str) -> str:
    """Return the key under which attempts from an address are counted; an IPv6 caller owns a whole /64 and counts as one."""
    return "address:" + network(address)


def network(address: str) -> str:
    """Return the network that one caller holds: the address itself, or the /64 of an IPv6 one."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return "unknown"
    if isinstance(parsed, IPv6Address):
        mapped = parsed.ipv4_mapped
        return str(mapped) if mapped else str(ip_network((parsed, 64), strict=False))
    return str(parsed)
