"""Seals: class tenant. A tenant reads its own; the system role, which adds, reads the ends of all chains. Nobody changes one."""

from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Column,
    DateTime,
    LargeBinary,
    PrimaryKeyConstraint,
    Text,
    UniqueConstraint,
    Uuid,
    bindparam,
    func,
    select,
    text,
)

from chassis.database import Query, Row, UnitOfWork, tenant_table
from chassis.database.columns import moment, word
from chassis.database.session import Session
from services.identity.audit.rules import Batch, Seal
from services.identity.store import METADATA

audit_seals: Final = tenant_table(
    "audit_seals",
    METADATA,
    Column("number", BigInteger, nullable=False),
    word("service"),
    Column("batch_number", BigInteger, nullable=False),
    Column("row_count", BigInteger, nullable=False),
    Column("root", LargeBinary, nullable=False),
    moment("seal_time"),
    Column("previous", LargeBinary, nullable=False),
    word("kid"),
    Column("signature", LargeBinary, nullable=False),
    PrimaryKeyConstraint("tenant_id", "number"),
    UniqueConstraint("tenant_id", "service", "batch_number", name="audit_seals_batch"),
)

_KINDS: Final[dict[str, Any]] = {
    "tenant_id": Uuid(as_uuid=False),
    "number": BigInteger(),
    "service": Text(),
    "batch_number": BigInteger(),
    "row_count": BigInteger(),
    "root": LargeBinary(),
    "seal_time": DateTime(timezone=True),
    "previous": LargeBinary(),
    "kid": Text(),
    "signature": LargeBinary(),
}
_AFTER: Final = Query(
    select(audit_seals)
    .where(audit_seals.c.number > bindparam("number"))
    .order_by(audit_seals.c.number)
    .limit(bindparam("most", type_=BigInteger()))
)
_EVERY: Final = Query(select(audit_seals.c.tenant_id).distinct())
_GET: Final = Query(select(audit_seals).where(audit_seals.c.number == bindparam("wanted", type_=BigInteger())))

_TURN: Final = Query(select(func.pg_advisory_xact_lock(func.hashtextextended("identity.audit_seals", 0))))
_TENANTS: Final = bindparam("tenants", type_=ARRAY(Uuid(as_uuid=False)))
_LAST: Final = Query(
    text(
        """
        SELECT last.* FROM unnest(:tenants) AS of_tenant,
        LATERAL (SELECT * FROM audit_seals WHERE tenant_id = of_tenant ORDER BY number DESC LIMIT 1) AS last
        """
    ).bindparams(_TENANTS)
)
_KNOWN: Final = Query(
    text(
        """
        SELECT seal.* FROM unnest(:tenants, :batches) AS wanted (of_tenant, of_batch)
        JOIN audit_seals AS seal ON tenant_id = of_tenant AND service = :service AND batch_number = of_batch
        """
    ).bindparams(_TENANTS, bindparam("batches", type_=ARRAY(BigInteger())), bindparam("service", type_=Text()))
)
_MADE = func.unnest(*(bindparam(name, type_=ARRAY(kind)) for name, kind in _KINDS.items())).table_valued(*_KINDS).render_derived()
_ADD: Final = Query(audit_seals.insert().from_select(list(_KINDS), select(*(_MADE.c[name] for name in _KINDS))))


async def after(work: UnitOfWork, number: int, most: int) -> list[Seal]:
    """Return the next seals of the tenant's chain."""
    return [_seal(row) for row in await work.all(_AFTER, number=number, most=most)]


async def get(work: UnitOfWork, number: int) -> Seal | None:
    """Return one seal of the tenant's chain."""
    row = await work.first(_GET, wanted=number)
    return _seal(row) if row else None


async def tenants(work: UnitOfWork) -> list[str]:
    """Return the ids of all chains that the role of the connection sees: of the migrator's, each."""
    return [row["tenant_id"] for row in await work.all(_EVERY)]


def take_turn(session: Session) -> None:
    """Wait until no other process adds to any chain; held to the end of the transaction."""
    session.put(_TURN, {})


async def ends(session: Session, tenants: Sequence[str]) -> dict[str, Seal]:
    """Return the last seal of each tenant that has one."""
    return {seal.tenant_id: seal for seal in map(_seal, (await session.ask(_LAST, {"tenants": tenants})).rows())}


async def known(session: Session, service: str, batches: Sequence[Batch]) -> dict[tuple[str, int], Seal]:
    """Return the seals of those batches of a service that are sealed, by tenant and number of the batch."""
    wanted = {"tenants": [each.tenant_id for each in batches], "batches": [each.number for each in batches], "service": service}
    return {(seal.tenant_id, seal.batch_number): seal for seal in map(_seal, (await session.ask(_KNOWN, wanted)).rows())}


async def add(session: Session, seals: Sequence[Seal]) -> None:
    """Keep new seals."""
    await session.ask(_ADD, {name: [getattr(seal, name) for seal in seals] for name in _KINDS})


def _seal(row: Row) -> Seal:
    return Seal(**row)
