"""Attempts on an account are counted before their outcome is known, so that many at once are not one.

Those of an address are counted when they failed, so that colleagues who sign in at once do not wait for each other.
"""

from datetime import timedelta

from chassis.database import UnitOfWork
from services.identity.attempts import rules, store
from services.identity.attempts.rules import ACCOUNT


class Attempts:
    """Counts attempts by account and by the address that they come from. Without an address the account alone counts."""

    def __init__(self, *, free_per_address: int) -> None:
        self._address = rules.address_pace(free_per_address)

    async def admit(self, work: UnitOfWork, *, email_key: str, address: str, familiar: bool) -> timedelta:
        """Count an attempt to sign in and return nothing, or return how long to wait; a refused attempt counts nowhere.

        From a familiar address, one that the account was signed in to from before, nobody waits for what others do to the account.
        """
        key = rules.account_key(email_key)
        count = await store.lock(work, key)
        seen = await store.read(work, rules.address_key(address))
        wait = rules.remaining(self._address, seen, work.now) if seen and address else timedelta(0)
        if not familiar:
            wait = max(wait, rules.remaining(ACCOUNT, count, work.now))
        if not wait:
            await store.count(work, key, rules.current(ACCOUNT, count, work.now) + 1)
        return wait

    async def succeeded(self, work: UnitOfWork, *, email_key: str) -> None:
        """Forget the account's failures. Those of the address were on other accounts."""
        await store.forget(work, rules.account_key(email_key))

    async def failed(self, work: UnitOfWork, *, address: str) -> None:
        """Count a wrong password, or a refresh token that was never ours, against the address that it came from."""
        if address:
            key = rules.address_key(address)
            count = await store.lock(work, key)
            await store.count(work, key, rules.current(self._address, count, work.now) + 1)
