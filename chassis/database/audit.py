"""The audit trail: who did what to which record, as whom, from where, with the states before and after, redacted."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple

import orjson
from google.protobuf.message import Message
from sqlalchemy import ARRAY, BigInteger, DateTime, Text, Uuid, bindparam, func, select
from sqlalchemy.dialects.postgresql import JSONB

from chassis import contract, ids
from chassis.context import Request
from chassis.database.outbox import Entry as Published
from chassis.database.statements import Query
from chassis.database.system_tables import audit_log
from chassis.redaction import redacted
from kith.options.v1.options_pb2 import Audit


class Entry(NamedTuple):
    """One line of the trail. `action` is an event's subject, or the method's name for a call without an event."""

    action: str
    resource_id: str
    version: int = 0
    changed: tuple[str, ...] = ()
    before: str | None = None
    after: str | None = None


def actors(rows: Sequence[dict[str, Any]]) -> str:
    """Return who left the rows, each once, in their order."""
    return ",".join(dict.fromkeys(row["actor_id"] for row in rows))


def fields(rows: Sequence[dict[str, Any]]) -> str:
    """Return which fields the rows changed, each once, in their order."""
    return ",".join(dict.fromkeys(name for row in rows for name in row["changed"]))


def of_event(event: Message, published: Published, before: Message | None) -> Entry:
    """Return the line for a change that is also published: the resource after it, or what the event says where it has none."""
    aggregate = contract.aggregate(type(event))
    after = getattr(event, aggregate.name) if aggregate else event
    changed = getattr(event, "changed", None)
    return Entry(
        action=contract.event(type(event)).subject,
        resource_id=published.key,
        version=published.version,
        changed=tuple(changed.paths) if changed is not None else (),
        before=_json(before),
        after=_json(after),
    )


def of_call(request: Request, resource_id: str, facts: dict[str, str]) -> Entry:
    """Return the line for a call that changes nothing which is published."""
    after = orjson.dumps(facts).decode() if facts else None
    return Entry(action=request.method.name if request.method else "", resource_id=resource_id, after=after)


def complete(trail: list[Entry], request: Request) -> None:
    """Add the line that the contract asks for when the handler had nothing to say itself, in whichever unit of work of the call."""
    if not trail and not request.noted and request.method is not None and request.method.audit == Audit.AUDIT_CALL:
        trail.append(of_call(request, request.resource_id, {}))


def _json(message: Message | None) -> str | None:
    return orjson.dumps(redacted(message)).decode() if message is not None else None


_COLUMNS: Final[dict[str, Any]] = {
    "id": Uuid(as_uuid=False),
    "action": Text(),
    "resource_id": Text(),
    "version": BigInteger(),
    "before": JSONB(),
    "after": JSONB(),
    "changed": Text(),
}
_SAID: Final = ("action", "resource_id", "version", "before", "after")
_CALL: Final[dict[str, Any]] = {
    "at": DateTime(timezone=True),
    "actor_kind": Text(),
    "actor_id": Text(),
    "session_id": Text(),
    "method": Text(),
    "request_id": Text(),
    "client_ip": Text(),
    "user_agent": Text(),
}
_KINDS: Final = {**_COLUMNS, **_CALL, "changed": ARRAY(Text())}
_INSERT_ONE: Final = Query(audit_log.insert().inline().values({name: bindparam(name, type_=kind) for name, kind in _KINDS.items()}))
_ROWS = func.unnest(*(bindparam(name, type_=ARRAY(kind)) for name, kind in _COLUMNS.items())).table_valued(*_COLUMNS).render_derived()
_INSERT: Final = Query(
    audit_log.insert().from_select(
        [*_COLUMNS, *_CALL],
        select(
            *(_ROWS.c[name] if name != "changed" else func.string_to_array(_ROWS.c.changed, ",") for name in _COLUMNS),
            *(bindparam(name, type_=kind) for name, kind in _CALL.items()),
        ),
    )
)
"""Arrays of arrays must be rectangular in PostgreSQL, so the changed fields travel as one text a row."""

SINCE: Final = Query(
    select(audit_log.c.actor_id, audit_log.c.changed)
    .where(audit_log.c.resource_id == bindparam("resource_id"), audit_log.c.version > bindparam("version"))
    .order_by(audit_log.c.version)
    .limit(20)
)


def insert(trail: list[Entry], request: Request, now: datetime) -> tuple[Query, dict[str, Any]] | None:
    """Return the one statement that keeps the trail; None when there is none."""
    if not trail:
        return None
    if len(trail) == 1:
        return _INSERT_ONE, {
            **{name: getattr(trail[0], name) for name in _SAID},
            **_call(request, now),
            "id": ids.new(),
            "changed": list(trail[0].changed),
        }
    return _INSERT, {
        **{name: [getattr(each, name) for each in trail] for name in _SAID},
        **_call(request, now),
        "id": [ids.new() for _ in trail],
        "changed": [",".join(each.changed) for each in trail],
    }


def _call(request: Request, now: datetime) -> dict[str, Any]:
    return {
        "at": now,
        "actor_kind": request.caller.kind.value,
        "actor_id": request.caller.id,
        "session_id": request.caller.session_id,
        "method": request.operation,
        "request_id": request.request_id,
        "client_ip": request.client_ip,
        "user_agent": request.user_agent,
    }
