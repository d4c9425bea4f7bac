"""Reading sealed events: keys come from the service that published, are held for some minutes, and may be gone for good."""

from collections import defaultdict
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
from typing import Final, NamedTuple

from cachetools import TTLCache
from google.protobuf.message import Message

from chassis.contract import SEALED
from chassis.sealing.keys import FORGOTTEN, FRESH, ID_BYTES, REMEMBERED, SubjectKey, label

ASKED: Final = 500  # keys that are asked for at once

Records = Mapping[str, Collection[str]]
"""Ids of records, by their tenant."""

Ask = Callable[[Records], Awaitable[Mapping[tuple[str, str], bytes]]]
"""Returns the keys of those records that have one, by tenant and record."""


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
        self._keys: TTLCache[_Wanted, SubjectKey | None] = TTLCache(REMEMBERED, FORGOTTEN - FRESH)

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
        missing: dict[_Wanted, None] = {}
        for each in wanted:
            try:
                known[each] = self._keys[each]
            except KeyError:
                missing[each] = None
        asked = list(missing)
        for start in range(0, len(asked), ASKED):
            known.update(await self._fetch(asked[start : start + ASKED]))
        return known

    async def _fetch(self, wanted: Iterable[_Wanted]) -> Mapping[_Wanted, SubjectKey | None]:
        """Ask for keys. One that is not there any more never comes back, so that is remembered too."""
        records: dict[str, set[str]] = defaultdict(set)
        for each in wanted:
            records[each.tenant_id].add(each.subject)
        keys = {place: SubjectKey(secret) for place, secret in (await self._ask(records)).items()}
        found = {each: key if (key := keys.get((each.tenant_id, each.subject))) and key.id == each.key_id else None for each in wanted}
        self._keys.update(found)
        return found


def _sealed(event: Incoming) -> bytes:
    return getattr(event.message, SEALED, b"")


def _wanted(event: Incoming) -> _Wanted:
    return _Wanted(event.tenant_id, event.subject, _sealed(event)[:ID_BYTES])
