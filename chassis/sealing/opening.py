"""Reading sealed events: keys come from the service that published, are held for some minutes, and may be gone for good."""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Final, NamedTuple

from cachetools import TTLCache
from google.protobuf.message import Message

from chassis.contract import SEALED
from chassis.sealing.keys import FORGOTTEN, ID_BYTES, REMEMBERED, SubjectKey, label

ASKED: Final = 500  # keys that are asked for at once

Ask = Callable[[str, Sequence[str]], Awaitable[Mapping[str, bytes]]]
"""Returns the keys of those of a tenant's records that have one."""


class Incoming(NamedTuple):
    """An event as it came: its type, tenant and record as its outside says, and its message."""

    kind: str
    tenant_id: str
    subject: str
    message: Message


class _Wanted(NamedTuple):
    """One key. A record whose key was destroyed may have got another one, so its id belongs to the question."""

    tenant_id: str
    subject: str
    key_id: bytes


class Opener:
    """Opens the events of one service."""

    def __init__(self, ask: Ask) -> None:
        self._ask = ask
        self._keys: TTLCache[_Wanted, SubjectKey | None] = TTLCache(REMEMBERED, FORGOTTEN)

    async def open(self, event: Incoming) -> None:
        """Give an event its personal fields back; they stay empty when their key was destroyed.

        Raises VaultError if something was changed on the way, and what `ask` raises if nobody answers.
        """
        sealed = _sealed(event)
        if not sealed:
            return
        key = (await self._keys_of([_wanted(event)]))[_wanted(event)]
        personal = b""
        if key is not None:
            personal = key.open(sealed, label(kind=event.kind, tenant_id=event.tenant_id, subject=event.subject))
        event.message.ClearField(SEALED)
        event.message.MergeFromString(personal)

    async def prepare(self, events: Iterable[Incoming]) -> None:
        """Have the keys of many events at hand, with few questions; raises what `ask` raises."""
        await self._keys_of([_wanted(event) for event in events if _sealed(event)])

    async def _keys_of(self, wanted: Iterable[_Wanted]) -> Mapping[_Wanted, SubjectKey | None]:
        known: dict[_Wanted, SubjectKey | None] = {}
        missing: dict[str, set[_Wanted]] = defaultdict(set)
        for each in wanted:
            try:
                known[each] = self._keys[each]
            except KeyError:
                missing[each.tenant_id].add(each)
        if missing:
            for answer in await asyncio.gather(*(self._fetch(tenant_id, [*each]) for tenant_id, each in missing.items())):
                known.update(answer)
        return known

    async def _fetch(self, tenant_id: str, wanted: Sequence[_Wanted]) -> dict[_Wanted, SubjectKey | None]:
        """Ask for keys of one tenant. A key that is not there any more never comes back, so that is remembered too."""
        found: dict[_Wanted, SubjectKey | None] = {}
        for start in range(0, len(wanted), ASKED):
            some = wanted[start : start + ASKED]
            secrets = await self._ask(tenant_id, sorted({each.subject for each in some}))
            keys = {subject: SubjectKey(secret) for subject, secret in secrets.items()}
            found.update({each: key if (key := keys.get(each.subject)) and key.id == each.key_id else None for each in some})
        self._keys.update(found)
        return found


def _sealed(event: Incoming) -> bytes:
    return getattr(event.message, SEALED, b"")


def _wanted(event: Incoming) -> _Wanted:
    return _Wanted(event.tenant_id, event.subject, _sealed(event)[:ID_BYTES])
