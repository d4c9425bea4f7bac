"""Attempts are counted before their outcome is known, so that many at once are not one."""

from datetime import timedelta

from chassis.database import UnitOfWork
from services.identity.attempts import rules, store
from services.identity.attempts.rules import ACCOUNT, Pace


class Attempts:
    """Counts attempts by account and by the address that they come from. Without an address the account alone counts."""

    def __init__(self, *, free_per_address: int) -> None:
        self._address: Pace = rules.address_pace(free_per_address)

    async def admit(self, work: UnitOfWork, *, email_key: str, address: str, familiar: bool) -> timedelta:
        """Count an attempt to sign in and return nothing, or return how long to wait; a refused attempt counts nowhere.

        From a familiar address, one that the account was signed in to from before, nobody waits for what others do to the account.
        """
        paces = {rules.account_key(email_key): ACCOUNT} | self._of_address(address)
        counts = await store.lock(work, *paces)
        waits = [rules.remaining(pace, counts[key], work.now) for key, pace in paces.items() if not (familiar and pace is ACCOUNT)]
        wait = max(waits, default=timedelta(0))
        if not wait:
            for key, pace in paces.items():
                await store.count(work, key, rules.current(pace, counts[key], work.now) + 1)
        return wait

    async def succeeded(self, work: UnitOfWork, *, email_key: str, address: str) -> None:
        """Forget the account's failures, and take back the one attempt of the address: its other failures were on other accounts."""
        await store.forget(work, rules.account_key(email_key))
        for key in self._of_address(address):
            await store.forgive_one(work, key)

    async def count_forgery(self, work: UnitOfWork, *, address: str) -> None:
        """Count a refresh token that was never ours against the address that it came from."""
        for key, pace in self._of_address(address).items():
            counts = await store.lock(work, key)
            await store.count(work, key, rules.current(pace, counts[key], work.now) + 1)

    def _of_address(self, address: str) -> dict[str, Pace]:
        return {rules.address_key(address): self._address} if address else {}
