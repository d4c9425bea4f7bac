"""Idempotency keys: the answer to a write is kept with the write, and given again to who asks the same again.

IETF draft-ietf-httpapi-idempotency-key-header; a key belongs to tenant, principal and method.
"""

from datetime import datetime, timedelta
from functools import partial
from typing import Any, Final

from google.protobuf.message import Message
from sqlalchemy import Text, bindparam, func, select

from chassis.context import Request
from chassis.database.decoding import Row
from chassis.database.session import Session
from chassis.database.statements import Query
from chassis.database.system_tables import idempotency
from chassis.errors import Aborted, InvalidArgument, Reason

KEPT: Final = timedelta(hours=24)

_LOCK: Final = Query(select(func.pg_try_advisory_xact_lock(func.hashtextextended(bindparam("scope", type_=Text()), 0)).label("free")))
_FIND: Final = Query(
    select(idempotency.c.request_hash, idempotency.c.response).where(
        idempotency.c.principal == bindparam("principal"),
        idempotency.c.method == bindparam("method"),
        idempotency.c.key == bindparam("key"),
    )
)
_COLUMNS: Final = ("principal", "method", "key", "request_hash", "response", "expires_at")
_INSERT: Final = Query(idempotency.insert().inline().values({name: bindparam(name) for name in _COLUMNS}))


class Replay(Exception):
    """The call was answered before; `response` holds the serialized answer."""

    def __init__(self, response: bytes) -> None:
        super().__init__("answered before")
        self.response = response


def check(session: Session, request: Request, tenant_id: str) -> None:
    """Go on if the key is new. With the first question Replay, IDEMPOTENCY_KEY_REUSED or IDEMPOTENCY_IN_PROGRESS is raised if it is not.

    The lock is held to the end of the transaction, so that a second call with the key never waits behind the first.
    """
    given = request.idempotency
    if given is None or request.method is None:
        return
    scope = "\x1f".join((tenant_id, request.caller.id, request.method.path, given.key))
    session.put_ahead(_LOCK, {"scope": scope}, _first)
    found = {"principal": request.caller.id, "method": request.method.path, "key": given.key}
    session.put_ahead(_FIND, found, partial(_new, given.request_hash))


def _first(rows: list[Row]) -> None:
    if not rows[0]["free"]:
        raise Aborted(Reason.IDEMPOTENCY_IN_PROGRESS, "the first request with this key still runs", retry_after=1)


def _new(request_hash: bytes, rows: list[Row]) -> None:
    if not rows:
        return
    if rows[0]["request_hash"] != request_hash:
        raise InvalidArgument(Reason.IDEMPOTENCY_KEY_REUSED, "the key was used for another request")
    raise Replay(rows[0]["response"])


def insert(request: Request, answer: Message | None, now: datetime) -> tuple[Query, dict[str, Any]] | None:
    """Return the statement that keeps the answer for the key of the call; None when it has no key."""
    given = request.idempotency
    if given is None or request.method is None:
        return None
    if answer is None:
        raise LookupError(f"{request.method.path} takes an idempotency key but gave its unit of work no answer to keep")
    return _INSERT, {
        "principal": request.caller.id,
        "method": request.method.path,
        "key": given.key,
        "request_hash": given.request_hash,
        "response": answer.SerializeToString(),
        "expires_at": now + KEPT,
    }
