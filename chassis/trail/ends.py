"""The end of a service's trail: whether rows and batches hold the same, how far its receipts reach, and what waits to be sealed."""

import secrets
from typing import Any, Final, NamedTuple

from sqlalchemy import BigInteger, bindparam, func, select, text

from chassis.database import Query, UnitOfWork
from chassis.database.audit_tables import audit_batches
from chassis.database.decoding import Row
from kith.common.v1.audit_pb2 import AuditFlawKind

_BATCHED: Final = """
    SELECT CAST(encode(substring(ids FROM CAST(16 * place + 1 AS int) FOR 16), 'hex') AS uuid) AS id
    FROM audit_batches, generate_series(0, length(ids) / 16 - 1) AS place
    WHERE number > 0
"""
"""Rows that are sealed, or wait for it: batches up to the last receipt are compared with the chain, and those behind it have none."""
_SEEN: Final = """
    SELECT id FROM audit_log, (SELECT CAST(snapshot AS pg_snapshot) AS seen FROM audit_progress) AS progress
    WHERE pg_visible_in_snapshot(xid, seen) OR xid >= pg_snapshot_xmax(pg_current_snapshot())
"""
"""Rows that must be in batches: all that the last look saw, and any whose transaction nobody has begun so far."""
_COMPARED: Final = Query(
    text(
        f"""
        SELECT EXISTS (SELECT FROM audit_progress) AS looked,
               (SELECT sum(uuid_hash_extended(id, :salt)) FROM ({_BATCHED}) AS batched)
               IS NOT DISTINCT FROM (SELECT sum(uuid_hash_extended(id, :salt)) FROM ({_SEEN}) AS seen) AS same
        """  # noqa: S608 - constants
    ).bindparams(bindparam("salt", type_=BigInteger()))
)
"""Two sets are the same if their sums are, under a hash that nobody can know beforehand; that costs a tenth of comparing them."""
_NAMED: Final = (
    (
        AuditFlawKind.AUDIT_FLAW_KIND_ROW_UNSEALED,
        Query(text(f"SELECT id FROM (({_SEEN}) EXCEPT ({_BATCHED})) AS unsealed ORDER BY id LIMIT 1")),  # noqa: S608 - constants
    ),
    (
        AuditFlawKind.AUDIT_FLAW_KIND_ROW_MISSING,
        Query(text(f"SELECT id FROM (({_BATCHED}) EXCEPT ({_SEEN})) AS missing ORDER BY id LIMIT 1")),  # noqa: S608 - constants
    ),
    (
        AuditFlawKind.AUDIT_FLAW_KIND_ROW_REPEATED,
        Query(
            text(f"SELECT id FROM ({_BATCHED}) AS batched GROUP BY id HAVING count(*) > 1 ORDER BY id LIMIT 1")  # noqa: S608 - constants
        ),
    ),
)
_LAST: Final = Query(
    select(func.coalesce(func.max(audit_batches.c.number), 0).label("number")).where(audit_batches.c.seal_number.is_not(None))
)
_RECEIPT: Final = Query(
    select(audit_batches.c.seal_number, audit_batches.c.seal_digest)
    .where(audit_batches.c.seal_number > 0)
    .order_by(audit_batches.c.number.desc())
    .limit(1)
)
_WAITING: Final = Query(
    text(
        """
        SELECT coalesce(sum(size), 0) AS size, min(since) AS since FROM (
            SELECT length(ids) / 16 AS size, batch_time AS since FROM audit_batches WHERE seal_number IS NULL
            UNION ALL
            SELECT 1, at FROM audit_log, (SELECT CAST(snapshot AS pg_snapshot) AS seen FROM audit_progress) AS progress
            WHERE xid >= pg_snapshot_xmin(seen) AND NOT pg_visible_in_snapshot(xid, seen)
        ) AS waiting
        """
    )
)
"""Rows that are in no sealed batch, and since when. Who keeps the sealer from its work leaves them waiting."""


class Unlike(NamedTuple):
    """How rows and batches differ, and a row that shows it, if a single one does."""

    kind: AuditFlawKind.ValueType
    row_id: str = ""


async def unlike(work: UnitOfWork) -> Unlike | None:
    """Return what is wrong with the tenant's rows and batches as sets; None if they hold the same."""
    (compared,) = await work.all(_COMPARED, salt=secrets.randbits(63))
    if not compared["looked"]:
        return Unlike(AuditFlawKind.AUDIT_FLAW_KIND_PROGRESS_MISSING)
    if compared["same"]:
        return None
    for kind, query in _NAMED:
        if found := await work.first(query):
            return Unlike(kind, found["id"])
    return Unlike(AuditFlawKind.AUDIT_FLAW_KIND_ROWS_UNEQUAL)


async def last_batch(work: UnitOfWork) -> int:
    """Return the highest number of a batch that the sealer does not ask for any more, so that the chain must hold it."""
    (last,) = await work.all(_LAST)
    number: int = last["number"]
    return number


async def last_receipt(work: UnitOfWork) -> Row | None:
    """Return seal_number and seal_digest of the last batch that has a seal."""
    return await work.first(_RECEIPT)


async def waiting(work: UnitOfWork) -> dict[str, Any]:
    """Return how many rows wait to be sealed (`size`), and since when the first does (`since`, None if none does)."""
    (found,) = await work.all(_WAITING)
    return found
