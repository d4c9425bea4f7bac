"""The keys as this process holds them: opened once, and read again after a while."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from time import monotonic
from typing import Final

import orjson
from joserfc.jwk import ECKey

from chassis.database import NO_TENANT, unit_of_work
from chassis.vault import Vault
from services.identity.keys import actions, rules, store
from services.identity.keys.rules import State, Use
from services.identity.keys.store import Stored

FRESH: Final = 30.0
"""Seconds for which the keys are not read again. A retiring key is good for much longer, so nobody meets a wrong one."""


@dataclass(frozen=True, slots=True)
class Keys:
    """All keys at one moment: what signs, what new refresh tokens are made with, what old ones were, and the public set as JSON.

    The public set is of access tokens. Seals are checked here alone, with keys that come out of what the vault opened: a public
    half that lies in the database could be anybody's.
    """

    signer: ECKey
    refresh_kid: str
    refresh: Mapping[str, bytes]
    key_set: bytes
    sealer: ECKey
    seals: Mapping[str, ECKey]


class Keyring:
    """Hands out the keys of the moment. Ask before a unit of work is opened: reading them again takes one of its own."""

    def __init__(self, vault: Vault) -> None:
        self._vault = vault
        self._keys: Keys | None = None
        self._stale_at = 0.0
        self._reading = asyncio.Lock()

    async def current(self, kid: str = "") -> Keys:
        """Return the keys. One that is asked for by its id and not here may be news from another process, so it is looked for."""
        keys = self._fresh(kid)
        if keys is not None:
            return keys
        async with self._reading:
            return self._fresh(kid) or await self._read()

    def forget(self) -> None:
        """Read the keys again before they are used next."""
        self._stale_at = 0.0

    def _fresh(self, kid: str) -> Keys | None:
        keys = self._keys
        known = keys is not None and (not kid or kid in keys.refresh or kid in keys.seals)
        return keys if known and monotonic() < self._stale_at else None

    async def _read(self) -> Keys:
        stored = await _everything()
        if any(rules.in_state(use, [each.key for each in stored], State.ACTIVE) is None for use in Use):
            await actions.tend(self._vault)
            stored = await _everything()
        self._keys = await self._opened(stored)
        self._stale_at = monotonic() + FRESH
        return self._keys

    async def _opened(self, stored: Sequence[Stored]) -> Keys:
        signing = [each for each in stored if each.key.use is Use.ACCESS]
        refresh = [each for each in stored if each.key.use is Use.REFRESH]
        seals = {each.key.kid: await self._pair(each) for each in stored if each.key.use is Use.SEAL}
        return Keys(
            signer=await self._pair(_active(signing)),
            refresh_kid=_active(refresh).key.kid,
            refresh={each.key.kid: await self._open(each) for each in refresh},
            key_set=orjson.dumps({"keys": [each.public for each in signing]}),
            sealer=seals[_active([each for each in stored if each.key.use is Use.SEAL]).key.kid],
            seals=seals,
        )

    async def _pair(self, stored: Stored) -> ECKey:
        return ECKey.import_key(orjson.loads(await self._open(stored)))

    async def _open(self, stored: Stored) -> bytes:
        return await self._vault.open(stored.sealed, actions.purpose(stored.key.kid))


async def _everything() -> list[Stored]:
    async with unit_of_work(NO_TENANT) as work:
        return await store.everything(work)


def _active(stored: Sequence[Stored]) -> Stored:
    return next(each for each in stored if each.key.state is State.ACTIVE)
