"""Attempts on an account are counted before their outcome is known, so that many at once are not one.

Those of an address are counted when they failed, so that colleagues who sign in at once do not wait for each other.
"""

from datetime import timedelta

from chassis.database import UnitOfWork
from chassis.errors import ResourceExhausted
from services.identity.attempts import rules, store
from services.identity.attempts.rules import ACCOUNT
from services.identity.reasons import Reason


class Attempts:
    """Counts attempts by account and by the address that they come from. Without an address the account alone counts.

    `of` names what is attempted, unless it is to sign in: each is counted by itself.
    """

    def __init__(self, *, free_per_address: int, of: str = "") -> None:
        self._address = rules.address_pace(free_per_address)
        self._prefix = f"{of}:" if of else ""

    async def admit(self, work: UnitOfWork, *, email_key: str, address: str, familiar: bool) -> timedelta:
        """Count an attempt on an account and return nothing, or return how long to wait; a refused attempt counts nowhere.

        From a familiar address, one that the account was signed in to from before, nobody waits for what others do to the account.
        """
        key = self._account_key(email_key)
        count = await store.lock(work, key)
        wait = await self.wait(work, address=address)
        if not familiar:
            wait = max(wait, rules.remaining(ACCOUNT, count, work.now))
        if not wait:
            await store.count(work, key, rules.current(ACCOUNT, count, work.now) + 1)
        return wait

    async def wait(self, work: UnitOfWork, *, address: str) -> timedelta:
        """Return how long an address waits."""
        seen = await store.read(work, self._address_key(address))
        return rules.remaining(self._address, seen, work.now) if seen and address else timedelta(0)

    async def succeeded(self, work: UnitOfWork, *, email_key: str) -> None:
        """Forget the account's failures. Those of the address were on other accounts."""
        await store.forget(work, self._account_key(email_key))

    async def failed(self, work: UnitOfWork, *, address: str) -> None:
        """Count a wrong password, or a token that was never ours, against the address that it came from."""
        if address:
            key = self._address_key(address)
            count = await store.lock(work, key)
            await store.count(work, key, rules.current(self._address, count, work.now) + 1)

    def _account_key(self, email_key: str) -> str:
        return self._prefix + rules.account_key(email_key)

    def _address_key(self, address: str) -> str:
        return self._prefix + rules.address_key(address)


def refuse_before(wait: timedelta) -> None:
    """Refuse an attempt that has to wait; whoever waits it out gets the next one."""
    if wait:
        raise ResourceExhausted(Reason.SIGN_IN_SLOWED, "too many failed attempts; try again later", retry_after=wait.total_seconds())
