"""Idempotency keys: the answer to a write is kept with the write, and given again to who asks the same again.

IETF draft-ietf-httpapi-idempotency-key-header; a key belongs to tenant, principal and method.
"""

from datetime import datetime, timedelta
from typing import Any, Final

from google.protobuf.message import Message
from sqlalchemy import bindparam, select

from chassis.context import Request
from chassis.database import claim
from chassis.database.pool import Database
from chassis.database.session import Session
from chassis.database.statements import Query
from chassis.database.system_tables import idempotency
from chassis.errors import Aborted, InvalidArgument, Reason

KEPT: Final = timedelta(hours=24)

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


def begin(session: Session, request: Request, tenant_id: str) -> None:
    """Claim the key of the call, if it has one. Whatever is asked next fails if that is refused, or else the commit."""
    given = request.idempotency
    if given is not None and request.method is not None:
        scope = "\x1f".join((tenant_id, request.caller.id, request.method.path, given.key))
        session.put(claim.CLAIM, {"scope": scope, **_named(request, given.key)})


async def told(failure: BaseException, database: Database, request: Request, tenant_id: str) -> BaseException:
    """Return what a failed unit of work raises: where its key was refused, Replay, IDEMPOTENCY_KEY_REUSED or IDEMPOTENCY_IN_PROGRESS."""
    given, state = request.idempotency, claim.state(failure)
    if given is None or state not in {claim.BUSY, claim.KNOWN}:
        return failure
    rows = await database.read(tenant_id, _FIND, _named(request, given.key)) if state == claim.KNOWN else []
    if not rows:
        return Aborted(Reason.IDEMPOTENCY_IN_PROGRESS, "the first request with this key still runs", retry_after=1)
    if rows[0]["request_hash"] != given.request_hash:
        return InvalidArgument(Reason.IDEMPOTENCY_KEY_REUSED, "the key was used for another request")
    return Replay(rows[0]["response"])


def _named(request: Request, key: str) -> dict[str, str]:
    return {"principal": request.caller.id, "method": request.method.path if request.method else "", "key": key}


def insert(request: Request, answer: Message | None, now: datetime) -> tuple[Query, dict[str, Any]] | None:
    """Return the statement that keeps the answer for the key of the call; None when it has no key."""
    given = request.idempotency
    if given is None or request.method is None:
        return None
    if answer is None:
        raise LookupError(f"{request.method.path} takes an idempotency key but gave its unit of work no answer to keep")
    return _INSERT, {
        **_named(request, given.key),
        "request_hash": given.request_hash,
        "response": answer.SerializeToString(),
        "expires_at": now + KEPT,
    }
