"""AuditTrailService: what a service holds of the audit trail, compared with its batches; the chain of seals is compared elsewhere."""

import asyncio
from collections.abc import Iterable, Iterator, Sequence
from typing import Final, NamedTuple

from google.protobuf.empty_pb2 import Empty
from google.protobuf.timestamp_pb2 import Timestamp
from sqlalchemy import ARRAY, BigInteger, Uuid, bindparam, text

from chassis.database import Query, UnitOfWork, unit_of_work
from chassis.database.decoding import Row, uuid
from chassis.interceptors.chain import Context
from chassis.trail import ends, rows, tree
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

MOST: Final = 50_000  # rows that one answer is about
_YEAR_10000: Final = 253_402_300_800_000  # in milliseconds since 1970; a timestamp ends there

_IDS: Final = bindparam("ids", type_=ARRAY(Uuid(as_uuid=False)))
_RANGE: Final = (bindparam("first", type_=BigInteger()), bindparam("last", type_=BigInteger()))
_FITS: Final = f"""
    CASE WHEN row_count BETWEEN 1 AND {LARGEST}
    THEN length(ids) = {rows.ID_BYTES} * row_count AND length(leaves) = {tree.BYTES} * row_count ELSE false END
"""
_BATCHES: Final = Query(
    text(
        f"""
        SELECT number, CASE WHEN fits THEN ids ELSE '' END AS ids, CASE WHEN fits THEN leaves ELSE '' END AS leaves
        FROM (
            SELECT number, ids, leaves, fits, sum(CASE WHEN fits THEN row_count ELSE 0 END) OVER (ORDER BY number) AS so_far
            FROM audit_batches, LATERAL (SELECT {_FITS} AS fits) AS measured
            WHERE number BETWEEN :first AND :last
        ) AS counted
        WHERE so_far <= {MOST} ORDER BY number
        """  # noqa: S608 - constants
    ).bindparams(*_RANGE)
)
"""A batch whose pieces do not fit each other is answered as one of no rows, which nobody seals: no row is looked for by it."""
_ROWS: Final = Query(text(f"SELECT {rows.COLUMNS} FROM audit_log WHERE id = ANY(:ids)").bindparams(_IDS))  # noqa: S608 - constants


class _Batch(NamedTuple):
    """A batch as it is kept."""

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
            kept = [_Batch.of(row) for row in await work.all(_BATCHES, **numbers)]
            answer = CheckAuditBatchesResponse()
            for group in _together(kept):
                if not await self._check(work, group, answer):
                    break
        return answer

    async def CheckAuditEnd(self, request: Empty, context: Context) -> CheckAuditEndResponse:
        """Return how far the receipts reach, how rows and batches differ, and what waits to be sealed."""
        async with unit_of_work() as work:
            unlike = await ends.unlike(work)
            last, receipt, waiting = await ends.last_batch(work), await ends.last_receipt(work), await ends.waiting(work)
        return CheckAuditEndResponse(
            last_batch=last,
            last_receipt=AuditReceipt(**receipt) if receipt else None,
            flaw=self._flaw(unlike.kind, unlike.row_id) if unlike else None,
            unsealed_row_count=waiting["size"],
            oldest_unsealed_time=waiting["since"],
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

    def _flaw(self, kind: AuditFlawKind.ValueType, row_id: str) -> AuditFlaw:
        return AuditFlaw(kind=kind, service=self._service, row_id=row_id, time=_time(row_id) if row_id else None)


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


def _time(row_id: str) -> Timestamp | None:
    """Return the time that an id begins with (RFC 9562, section 5.7); None if it is later than any timestamp."""
    milliseconds = int(row_id[:8] + row_id[9:13], 16)
    if milliseconds >= _YEAR_10000:
        return None
    stamp = Timestamp()
    stamp.FromMilliseconds(milliseconds)
    return stamp
