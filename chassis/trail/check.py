"""AuditTrailService: what a service holds of the audit trail, compared with its batches; the chain of seals is compared elsewhere."""

import asyncio
import secrets
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Final, NamedTuple

from google.protobuf.empty_pb2 import Empty
from google.protobuf.timestamp_pb2 import Timestamp
from sqlalchemy import ARRAY, BigInteger, Uuid, bindparam, func, select, text

from chassis import errors
from chassis.database import Query, UnitOfWork, unit_of_work
from chassis.database.audit_tables import audit_batches
from chassis.database.decoding import Row, uuid
from chassis.errors import Violation
from chassis.interceptors.chain import Context
from chassis.trail import rows, tree
from chassis.trail.batches import LARGEST, READ
from kith.common.v1.audit_pb2 import (
    AuditBatch,
    AuditFlaw,
    AuditFlawKind,
    AuditReceipt,
    CheckAuditBatchesRequest,
    CheckAuditBatchesResponse,
    CheckAuditEndResponse,
)
from kith.common.v1.audit_pb2_grpc import AuditTrailServiceServicer

MOST: Final = 50_000  # rows that one question is about

_IDS: Final = bindparam("ids", type_=ARRAY(Uuid(as_uuid=False)))
_RANGE: Final = (bindparam("first", type_=BigInteger()), bindparam("last", type_=BigInteger()))
_BATCHES: Final = Query(
    select(audit_batches.c.number, audit_batches.c.ids, audit_batches.c.leaves)
    .where(audit_batches.c.number.between(*_RANGE))
    .order_by(audit_batches.c.number)
)
_SIZE: Final = Query(
    select(func.coalesce(func.sum(audit_batches.c.row_count), 0).cast(BigInteger()).label("size")).where(
        audit_batches.c.number.between(*_RANGE)
    )
)
_ROWS: Final = Query(text(f"SELECT {rows.COLUMNS} FROM audit_log WHERE id = ANY(:ids)").bindparams(_IDS))  # noqa: S608 - constants
_LAST: Final = Query(select(audit_batches.c.number).order_by(audit_batches.c.number.desc()).limit(1))
_RECEIPT: Final = Query(
    select(audit_batches.c.seal_number, audit_batches.c.seal_digest)
    .where(audit_batches.c.seal_number > 0)
    .order_by(audit_batches.c.number.desc())
    .limit(1)
)
_SEALED: Final = """
    SELECT CAST(encode(substring(ids FROM CAST(16 * place + 1 AS int) FOR 16), 'hex') AS uuid) AS id
    FROM audit_batches, generate_series(0, length(ids) / 16 - 1) AS place
"""
_SEEN: Final = """
    SELECT id FROM audit_log, (SELECT CAST(snapshot AS pg_snapshot) AS seen FROM audit_progress) AS progress
    WHERE pg_visible_in_snapshot(xid, seen) OR xid >= pg_snapshot_xmax(pg_current_snapshot())
"""
"""Rows that must be sealed: all that the last look saw, and any whose transaction nobody has begun so far."""
_WHOLE: Final = Query(
    text(
        f"""
        SELECT (SELECT sum(uuid_hash_extended(id, :salt)) FROM ({_SEALED}) AS sealed)
               IS NOT DISTINCT FROM (SELECT sum(uuid_hash_extended(id, :salt)) FROM ({_SEEN}) AS seen) AS whole
        """  # noqa: S608 - constants
    ).bindparams(bindparam("salt", type_=BigInteger()))
)
"""Two sets are the same if their sums are, under a hash that nobody can know beforehand; that costs a tenth of comparing them."""
_UNSEALED: Final = Query(text(f"SELECT id FROM (({_SEEN}) EXCEPT ({_SEALED})) AS unsealed ORDER BY id LIMIT 1"))  # noqa: S608 - constants
_REPEATED: Final = Query(
    text(f"SELECT id FROM ({_SEALED}) AS sealed GROUP BY id HAVING count(*) > 1 ORDER BY id LIMIT 1")  # noqa: S608 - constants
)


class _Batch(NamedTuple):
    """A batch as it is kept. Pieces that do not fit each other make another root than the sealed one."""

    number: int
    ids: list[bytes]
    leaves: list[bytes]

    @classmethod
    def of(cls, row: Row) -> "_Batch":
        return cls(row["number"], _pieces(row["ids"], rows.ID_BYTES), _pieces(row["leaves"], tree.BYTES))


class AuditTrailService(AuditTrailServiceServicer):
    """Answers for the tenant that the caller's service token names."""

    def __init__(self, service: str) -> None:
        self._service = service

    async def CheckAuditBatches(self, request: CheckAuditBatchesRequest, context: Context) -> CheckAuditBatchesResponse:
        """Return the batches with the roots that their leaves give, up to the first whose rows do not give its leaves."""
        numbers = {"first": request.first, "last": request.last}
        async with unit_of_work() as work:
            (size,) = await work.all(_SIZE, **numbers)
            if request.first != request.last and size["size"] > MOST:
                errors.raise_for([Violation("last", f"they hold more than {MOST} rows")])
            kept = [_Batch.of(row) for row in await work.all(_BATCHES, **numbers)]
            answer = CheckAuditBatchesResponse()
            for group in _together(kept):
                if not await self._check(work, group, answer):
                    break
        return answer

    async def CheckAuditEnd(self, request: Empty, context: Context) -> CheckAuditEndResponse:
        """Return how far the batches reach, and a row that is not in one of them, or in two."""
        async with unit_of_work() as work:
            last, receipt = await work.first(_LAST), await work.first(_RECEIPT)
            (compared,) = await work.all(_WHOLE, salt=secrets.randbits(63))
            flaw = None if compared["whole"] else await self._not_whole(work)
        return CheckAuditEndResponse(
            last_batch=last["number"] if last else 0,
            last_receipt=AuditReceipt(seal_number=receipt["seal_number"], seal_digest=receipt["seal_digest"]) if receipt else None,
            flaw=flaw,
        )

    async def _check(self, work: UnitOfWork, batches: Sequence[_Batch], answer: CheckAuditBatchesResponse) -> bool:
        """Add the batches to the answer; say whether all are good."""
        found: dict[bytes, bytes] = {}
        wanted = [uuid(raw) for batch in batches for raw in batch.ids]
        for start in range(0, len(wanted), READ):
            some = await work.find(_ROWS, ids=wanted[start : start + READ])
            found.update(await asyncio.to_thread(rows.leaves, some))
        answers = await asyncio.to_thread(_compared, batches, {key[rows.ID_BYTES :]: leaf for key, leaf in found.items()})
        for batch, (root, wrong) in zip(batches, answers, strict=False):
            answer.batches.append(AuditBatch(tenant_id=work.tenant_id, number=batch.number, row_count=len(batch.ids), root=root))
            if wrong is not None:
                answer.flaw.CopyFrom(self._flaw(*wrong))
                answer.flaw.batch_number = batch.number
                return False
        return True

    async def _not_whole(self, work: UnitOfWork) -> AuditFlaw | None:
        if unsealed := await work.first(_UNSEALED):
            return self._flaw(AuditFlawKind.AUDIT_FLAW_KIND_ROW_UNSEALED, unsealed["id"])
        if repeated := await work.first(_REPEATED):
            return self._flaw(AuditFlawKind.AUDIT_FLAW_KIND_ROW_REPEATED, repeated["id"])
        return None

    def _flaw(self, kind: AuditFlawKind.ValueType, row_id: str) -> AuditFlaw:
        return AuditFlaw(kind=kind, service=self._service, row_id=row_id, time=_time(row_id))


def _pieces(joined: bytes, size: int) -> list[bytes]:
    return [bytes(joined[at : at + size]) for at in range(0, len(joined), size)]


def _together(batches: Iterable[_Batch]) -> Iterator[list[_Batch]]:
    """Yield batches in groups that are read at once."""
    group: list[_Batch] = []
    for batch in batches:
        group.append(batch)
        if sum(len(each.ids) for each in group) >= LARGEST:
            yield group
            group = []
    if group:
        yield group


_Wrong = tuple[AuditFlawKind.ValueType, str]


def _compared(batches: Iterable[_Batch], found: dict[bytes, bytes]) -> list[tuple[bytes, _Wrong | None]]:
    """Return the root of each batch's leaves, and its first row that has another leaf now."""
    return [(tree.root(batch.leaves), _first_wrong(batch, found)) for batch in batches]


def _first_wrong(batch: _Batch, found: dict[bytes, bytes]) -> _Wrong | None:
    for raw, leaf in zip(batch.ids, batch.leaves, strict=False):
        if raw not in found:
            return AuditFlawKind.AUDIT_FLAW_KIND_ROW_MISSING, uuid(raw)
        if found[raw] != leaf:
            return AuditFlawKind.AUDIT_FLAW_KIND_ROW_CHANGED, uuid(raw)
    return None


def _time(row_id: str) -> Timestamp:
    """Return the time that an id begins with (RFC 9562, section 5.7)."""
    stamp = Timestamp()
    stamp.FromDatetime(datetime.fromtimestamp(int(row_id[:8] + row_id[9:13], 16) / 1000, UTC))
    return stamp
