"""Receipts: a batch that is sealed keeps the number and the digest of its seal, so that whoever cuts the chain has to change both sides."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final, NamedTuple

from sqlalchemy import ARRAY, BigInteger, LargeBinary, Uuid, and_, bindparam, func, select

from chassis.database.audit_tables import audit_batches
from chassis.database.decoding import Row
from chassis.database.pipeline import Pipeline
from chassis.database.statements import Query

ASKED: Final = 500  # batches that are sealed with one question

_UNSEALED: Final = Query(
    select(audit_batches.c.tenant_id, audit_batches.c.number, audit_batches.c.row_count, audit_batches.c.root)
    .where(audit_batches.c.seal_number.is_(None))
    .order_by(audit_batches.c.tenant_id, audit_batches.c.number)
    .limit(bindparam("most", type_=BigInteger()))
)
_KINDS: Final[dict[str, Any]] = {
    "tenants": Uuid(as_uuid=False),
    "numbers": BigInteger(),
    "seal_numbers": BigInteger(),
    "seal_digests": LargeBinary(),
}
_GIVEN = func.unnest(*(bindparam(name, type_=ARRAY(kind)) for name, kind in _KINDS.items())).table_valued(*_KINDS).render_derived()
_KEEP: Final = Query(
    audit_batches.update()
    .values(seal_number=_GIVEN.c.seal_numbers, seal_digest=_GIVEN.c.seal_digests)
    .where(and_(audit_batches.c.tenant_id == _GIVEN.c.tenants, audit_batches.c.number == _GIVEN.c.numbers))
)


class Receipt(NamedTuple):
    """The seal of a batch; number 0 where it was refused, since another batch of its number is sealed."""

    seal_number: int
    seal_digest: bytes


Seal = Callable[[Sequence[Row]], Awaitable[Sequence[Receipt]]]
"""Has batches sealed: rows with tenant_id, number, row_count and root; returns their receipts in that order."""


async def collect(connection: Pipeline, seal: Seal) -> int:
    """Have all batches sealed that are not; return how many rows they hold. Asking again for what was sealed gives the same receipt."""
    count, some = 0, ASKED
    while some == ASKED:
        batches = (await connection.ask(_UNSEALED, {"most": ASKED})).rows()
        some = len(batches)
        if batches:
            given = await seal(batches)
            values = {
                "tenants": [batch["tenant_id"] for batch in batches],
                "numbers": [batch["number"] for batch in batches],
                "seal_numbers": [receipt.seal_number for receipt in given],
                "seal_digests": [receipt.seal_digest for receipt in given],
            }
            await connection.ask(_KEEP, values)
        count += sum(batch["row_count"] for batch in batches)
    return count
