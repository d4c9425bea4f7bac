"""The outbox: events are rows of the transaction that they tell of, and leave it only after its commit."""

import asyncio
from datetime import datetime
from typing import Any, Final, NamedTuple

import orjson
from google.protobuf.message import Message
from sqlalchemy import ARRAY, BigInteger, DateTime, LargeBinary, Text, Uuid, bindparam, func, select
from sqlalchemy.dialects.postgresql import JSONB

from chassis import contract, etags, ids
from chassis.context import Request
from chassis.database.statements import Query
from chassis.database.system_tables import outbox
from chassis.sealing.keys import SubjectKey, label
from chassis.sealing.split import split
from chassis.telemetry import tracing


class Entry(NamedTuple):
    """One event on its way out. `version` is its aggregate's, 0 where it has none; `personal` is the part that is to be sealed."""

    id: str
    subject: str
    key: str
    version: int
    headers: str
    payload: bytes
    created_at: datetime
    kind: type[Message]
    personal: bytes


def entry(event: Message, *, request: Request, tenant_id: str, now: datetime) -> Entry:
    """Return the row that an event becomes; its headers carry the trace and the actor, the relay adds the others."""
    said = contract.event(type(event))
    parts = split(event)
    return Entry(
        id=ids.new(),
        subject=f"{contract.PREFIX}{said.subject}.{tenant_id}",
        key=contract.at(event, said.key),
        version=_version(event),
        headers=orjson.dumps({"traceparent": tracing.traceparent(), "actor": request.caller.id}).decode(),
        payload=parts.clear,
        created_at=now,
        kind=type(event),
        personal=parts.personal,
    )


def sealed(entry: Entry, key: SubjectKey, tenant_id: str) -> Entry:
    """Return the row with its personal part encrypted; what stands behind a serialized message is merged into it (protobuf, encoding)."""
    associated = label(kind=contract.event(entry.kind).subject, tenant_id=tenant_id, subject=entry.key)
    carrier: Any = entry.kind
    rest: Message = carrier(sealed=key.seal(entry.personal, associated))
    return entry._replace(payload=entry.payload + rest.SerializeToString(), personal=b"")


def _version(event: Message) -> int:
    aggregate = contract.aggregate(type(event))
    etag: str = getattr(getattr(event, aggregate.name), "etag", "") if aggregate else ""
    return etags.version(etag) if etag else 0


_COLUMNS: Final[dict[str, Any]] = {
    "id": Uuid(as_uuid=False),
    "subject": Text(),
    "key": Text(),
    "version": BigInteger(),
    "headers": JSONB(),
    "payload": LargeBinary(),
    "created_at": DateTime(timezone=True),
}
_INSERT_ONE: Final = Query(outbox.insert().inline().values({name: bindparam(name, type_=kind) for name, kind in _COLUMNS.items()}))
"""A call has one event nearly always, and arrays of one cost as much as the rest of their statement."""
_ARRAYS = func.unnest(*(bindparam(name, type_=ARRAY(kind)) for name, kind in _COLUMNS.items()))
_ROWS = _ARRAYS.table_valued(*_COLUMNS, with_ordinality="place").render_derived()
_INSERT: Final = Query(outbox.insert().from_select(list(_COLUMNS), select(*(_ROWS.c[name] for name in _COLUMNS)).order_by(_ROWS.c.place)))


def insert(entries: list[Entry], tenant_id: str) -> tuple[Query, dict[str, Any]] | None:
    """Return the one statement that keeps the events in their order; None when there is none."""
    if not entries:
        return None
    if len(entries) == 1:
        return _INSERT_ONE, {name: getattr(entries[0], name) for name in _COLUMNS}
    return _INSERT, {name: [getattr(each, name) for each in entries] for name in _COLUMNS}


_wakers: Final[set[asyncio.Event]] = set()


def waker() -> asyncio.Event:
    """Return an event that is set after each commit with events: the relay waits for it instead of polling."""
    event = asyncio.Event()
    _wakers.add(event)
    return event


def poke() -> None:
    """Tell this process's relay that there is something to carry."""
    for event in _wakers:
        event.set()
