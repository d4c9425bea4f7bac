"""Passwords are judged and hashed beside the event loop, never more at once than there are cores (ID-2)."""

import asyncio
import os
import secrets
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from chassis.errors import Unavailable
from services.identity.reasons import Reason
from services.identity.users import rules

T = TypeVar("T")

QUEUE: Final = 50
RETRY_AFTER: Final = 1.0


class Hasher:
    """Argon2id (RFC 9106) with a bounded queue; when that is full, callers are told to come back."""

    def __init__(self, *, memory_kib: int, passes: int, workers: int = os.cpu_count() or 1, queue: int = QUEUE) -> None:
        self._argon2 = PasswordHasher(time_cost=passes, memory_cost=memory_kib, parallelism=1)
        self._hashing = ThreadPoolExecutor(workers, thread_name_prefix="hashing")
        self._judging = ThreadPoolExecutor(1, thread_name_prefix="judging")
        self._capacity = workers + queue
        self._inside = 0
        self._nobodys = self._argon2.hash(secrets.token_urlsafe())

    async def weakness(self, password: str, about: Iterable[str]) -> str:
        """Return why a password is refused, or nothing if it is good."""
        known = tuple(about)
        return await self._run(self._judging, lambda: rules.weakness(rules.normalise(password), known))

    async def hash(self, password: str) -> str:
        """Return the hash of a password, with its parameters and salt in it."""
        return await self._run(self._hashing, lambda: self._argon2.hash(rules.normalise(password)))

    async def verify(self, stored: str | None, password: str) -> bool:
        """Say whether the password fits. Without a stored hash the same work is done for nobody, and takes as long (ID-3)."""
        fits = await self._run(self._hashing, lambda: self._fits(stored or self._nobodys, rules.normalise(password)))
        return fits and stored is not None

    def outdated(self, stored: str) -> bool:
        """Say whether a hash was made with other parameters than today's."""
        return self._argon2.check_needs_rehash(stored)

    def close(self) -> None:
        """Let the work in hand finish and stop the threads."""
        self._hashing.shutdown()
        self._judging.shutdown()

    def _fits(self, stored: str, password: str) -> bool:
        try:
            return self._argon2.verify(stored, password)
        except (VerificationError, InvalidHashError):
            return False

    async def _run(self, pool: ThreadPoolExecutor, work: Callable[[], T]) -> T:
        if self._inside >= self._capacity:
            raise Unavailable(Reason.HASHING_BUSY, "too many sign-ins at once; try again", retry_after=RETRY_AFTER)
        self._inside += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(pool, work)
        finally:
            self._inside -= 1
