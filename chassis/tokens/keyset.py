"""The public keys that access tokens are checked against (RFC 7517): fetched, refreshed by the hour, never lost to an error."""

import asyncio
import contextlib
import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

import structlog
from joserfc.errors import JoseError
from joserfc.jwk import ECKey

from chassis.errors import Reason, Refusal, Unavailable
from chassis.tokens.jws import ALGORITHM, CURVE, invalid

Fetch = Callable[[], Awaitable[bytes]]

REFRESH: Final = 3600.0  # seconds; identity publishes a key a day before it signs with it (reference/identity.md 3.2)
PAUSE: Final = 30.0  # seconds between two fetches for unknown key ids, however many tokens name them
FIRST_PAUSE: Final = 0.2  # seconds between two tries while there is no key at all
TOLD: Final = 50  # of so many such tries in a row one is told of: at a start the first ones fail until the other side is up

log = structlog.get_logger()


def parse(raw: bytes) -> dict[str, ECKey]:
    """Return the usable keys of a JSON Web Key Set by their ids; ValueError if it is none or holds none.

    Other keys are passed over (RFC 7517, section 5), so that one bad key cannot keep a withdrawn one alive.
    """
    listed = json.loads(raw)
    keys = listed.get("keys") if isinstance(listed, dict) else None
    if not isinstance(keys, list):
        raise ValueError("not a key set")  # noqa: TRY004 - to the caller a wrong type is a wrong value
    usable: dict[str, ECKey] = {}
    for each in keys:
        if isinstance(each, dict) and _public(each):
            with contextlib.suppress(JoseError, KeyError, ValueError):
                usable[each["kid"]] = ECKey.import_key(each)
    if not usable:
        raise ValueError("no usable key")
    return usable


def _public(key: Mapping[str, Any]) -> bool:
    """Say whether a key is a public one for our signatures."""
    expected = {"kty": "EC", "crv": CURVE, "use": "sig", "alg": ALGORITHM}
    return isinstance(key.get("kid"), str) and "d" not in key and all(key.get(name, value) == value for name, value in expected.items())


class KeySet:
    """A cache of one remote key set. `fetch` returns it as JSON and may raise a Refusal."""

    def __init__(self, fetch: Fetch, *, pause: float = PAUSE) -> None:
        self._fetch = fetch
        self._pause = pause
        self._keys: Mapping[str, ECKey] = {}
        self._next_try = float("-inf")
        self._failures = 0
        self._fetching: asyncio.Task[None] | None = None
        self._poked = asyncio.Event()

    def __contains__(self, key_id: str) -> bool:
        return key_id in self._keys

    async def find(self, key_id: str) -> ECKey:
        """Return a key. An unknown id may be news, so it costs a fetch, but no more than one in `pause` seconds.

        Raise Unauthenticated if there is no such key, Unavailable if no key was ever fetched.
        """
        if key_id not in self._keys:
            await self._fetch_unless_just_done()
        if not self._keys:
            raise _unavailable()
        key = self._keys.get(key_id)
        if key is None:
            raise invalid("its key is unknown")
        return key

    async def refresh(self) -> None:
        """Fetch the set now and replace the old one; an error leaves the old one."""
        try:
            self._keys = parse(await self._fetch())
            self._failures = 0
        except (Refusal, OSError, ValueError) as error:
            self._failures += 1
            if self._keys or self._failures % TOLD == 0:
                log.warning("key_set_fetch_failed", error_type=type(error).__name__, failures=self._failures)

    async def check(self) -> None:
        """Raise Unavailable as long as there is no key: nobody's token could be checked."""
        if not self._keys:
            raise _unavailable()

    def poke(self) -> None:
        """Say that the keys changed: `keep_fresh` fetches at once."""
        self._poked.set()

    async def keep_fresh(self) -> None:
        """Fetch at the start, by the hour and when poked, until cancelled."""
        while True:
            self._poked.clear()
            await self.refresh()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._poked.wait(), REFRESH if self._keys else FIRST_PAUSE)

    async def _fetch_unless_just_done(self) -> None:
        """Join the fetch that runs, else start one if the last is long enough ago. A caller that gives up does not end it."""
        loop = asyncio.get_running_loop()
        if self._fetching is None or self._fetching.done():
            if loop.time() < self._next_try:
                return
            self._next_try = loop.time() + (self._pause if self._keys else FIRST_PAUSE)
            self._fetching = loop.create_task(self.refresh())
        await asyncio.shield(self._fetching)


def _unavailable() -> Unavailable:
    return Unavailable(Reason.UNAVAILABLE, "the keys that tokens are checked with cannot be fetched", retry_after=FIRST_PAUSE)
