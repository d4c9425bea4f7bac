"""Making, turning and ending keys: by the clock, at the first start, and when an operator asks."""

import secrets
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Final

import orjson
import structlog
from joserfc.jwk import ECKey

from chassis import ids
from chassis.database import NO_TENANT, UnitOfWork, unit_of_work
from chassis.tokens.jws import ALGORITHM, CURVE
from chassis.vault import Vault
from services.identity.keys import rules, store
from services.identity.keys.rules import Key, State, Use
from services.identity.keys.store import Stored

log = structlog.get_logger()

REFRESH_KEY_BYTES: Final = 32


def purpose(kid: str) -> str:
    """Return what a key's secret is sealed for."""
    return f"key|{kid}|v1"


async def tend(vault: Vault) -> None:
    """Do what the clock asks for: make missing keys, rotate old ones, delete retired ones, re-wrap what lies under a former master key."""
    async with unit_of_work(NO_TENANT) as work:
        await store.lock(work)
        stored = await store.everything(work)
        for use in Use:
            if rules.rotation_due(use, [each.key for each in stored], work.now):
                await _turn(work, vault, use, stored)
        for each in stored:
            if rules.gone(each.key, work.now):
                await store.delete(work, each.key.kid)
            else:
                await _rewrap(work, vault, each)


async def rotate(vault: Vault, use: Use) -> None:
    """Rotate now: the next key, known to verifiers since the last rotation, becomes the active one."""
    async with unit_of_work(NO_TENANT) as work:
        await store.lock(work)
        await _turn(work, vault, use, await store.everything(work))


async def _turn(work: UnitOfWork, vault: Vault, use: Use, stored: Sequence[Stored]) -> None:
    known = [each.key for each in stored]
    active, following = rules.in_state(use, known, State.ACTIVE), rules.in_state(use, known, State.NEXT)
    if active:
        await store.move(work, active.kid, State.RETIRING)
    if following:
        await store.move(work, following.kid, State.ACTIVE)
    else:
        await store.insert(work, await _MAKE[use](vault, State.ACTIVE, work.now))
    await store.insert(work, await _MAKE[use](vault, State.NEXT, work.now))
    log.info("key_rotated", use=use, retiring=active.kid if active else "")


async def _rewrap(work: UnitOfWork, vault: Vault, stored: Stored) -> None:
    sealed = await vault.rewrap(stored.sealed)
    if sealed != stored.sealed:
        await store.reseal(work, stored.key.kid, sealed)


async def _make_access_key(vault: Vault, state: State, now: datetime) -> Stored:
    return await _make_pair(vault, Use.ACCESS, state, now)


async def _make_seal_key(vault: Vault, state: State, now: datetime) -> Stored:
    return await _make_pair(vault, Use.SEAL, state, now)


async def _make_pair(vault: Vault, use: Use, state: State, now: datetime) -> Stored:
    """Make a key pair; its id is the thumbprint of the public half (RFC 7638)."""
    pair = ECKey.generate_key(CURVE, {"use": "sig", "alg": ALGORITHM}, auto_kid=True)
    kid = str(pair.kid)
    sealed = await vault.seal(orjson.dumps(pair.as_dict(private=True)), purpose(kid))
    return Stored(Key(kid=kid, use=use, state=state, state_time=now), dict(pair.as_dict(private=False)), sealed)


async def _make_refresh_key(vault: Vault, state: State, now: datetime) -> Stored:
    kid = ids.new()
    sealed = await vault.seal(secrets.token_bytes(REFRESH_KEY_BYTES), purpose(kid))
    return Stored(Key(kid=kid, use=Use.REFRESH, state=state, state_time=now), None, sealed)


_MAKE: Final[dict[Use, Callable[[Vault, State, datetime], Awaitable[Stored]]]] = {
    Use.ACCESS: _make_access_key,
    Use.REFRESH: _make_refresh_key,
    Use.SEAL: _make_seal_key,
}
