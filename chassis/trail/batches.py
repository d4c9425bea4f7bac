"""Batches: rows that were committed since the last look, by tenant, with their leaves and the root of these.

A row belongs to the transaction that wrote it, which may commit long after others that began later: neither its time nor its id
says when it can be seen first. So a look is a snapshot: what it shows and the one before did not is new, to the row, however long
a transaction took. The snapshot is kept in the transaction that keeps the batches, so that rows are neither left out nor taken twice.
"""

import asyncio
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, Final, NamedTuple

from sqlalchemy import ARRAY, BigInteger, LargeBinary, Uuid, bindparam, func, select, text

from chassis.context import NO_TENANT
from chassis.database.audit_tables import audit_batches
from chassis.database.decoding import Row, uuid
from chassis.database.pipeline import Pipeline
from chassis.database.session import Session
from chassis.database.statements import Query
from chassis.trail import rows, tree

LARGEST: Final = 4_096  # rows in one batch
READ: Final = 1_000  # rows that are read at once: some milliseconds of the event loop

BY_INDEX: Final = Query(text("SET enable_seqscan TO off"))
"""For the connection that looks: the planner takes a third of the log for new where it has no statistics."""

_ONE_SNAPSHOT: Final = Query(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ"))
_OURS: Final = Query(
    text("SELECT pg_snapshot_xmax(CAST(snapshot AS pg_snapshot)) <= pg_snapshot_xmax(pg_current_snapshot()) AS ours FROM audit_progress")
)
_HOLD: Final = Query(text("SELECT single FROM audit_progress FOR UPDATE"))
"""Fails if another process has made batches meanwhile. A look that finds nothing does not come here, for a lock is a write."""
_NEW: Final = Query(
    text(
        """
        WITH former AS (SELECT CAST(snapshot AS pg_snapshot) AS seen FROM audit_progress),
        late AS (
            SELECT xid FROM former, pg_snapshot_xip(seen) AS xid WHERE pg_visible_in_snapshot(xid, pg_current_snapshot())
        ),
        fresh AS (
            SELECT tenant_id, id FROM audit_log
            WHERE xid >= (SELECT pg_snapshot_xmax(seen) FROM former) AND xid < pg_snapshot_xmax(pg_current_snapshot())
            UNION ALL
            SELECT a.tenant_id, a.id FROM late JOIN audit_log AS a ON a.xid = late.xid
        )
        SELECT tenant_id, string_agg(uuid_send(id), '' ORDER BY id) AS ids FROM fresh GROUP BY tenant_id ORDER BY tenant_id
        """
    )
)
"""Rows of transactions that began after the former snapshot, and of those that ran when it was taken and have ended by now."""
_SEEN: Final = Query(text("UPDATE audit_progress SET snapshot = CAST(pg_current_snapshot() AS text)"))

_UUIDS: Final = ARRAY(Uuid(as_uuid=False))
_TENANTS: Final = bindparam("tenants", type_=_UUIDS)
_ROWS: Final = Query(
    text(
        f"""
        SELECT {rows.COLUMNS} FROM audit_log
        JOIN unnest(:tenants, :ids) AS wanted (of_tenant, of_id) ON tenant_id = of_tenant AND id = of_id
        """  # noqa: S608 - constants
    ).bindparams(_TENANTS, bindparam("ids", type_=_UUIDS))
)
_LAST: Final = Query(
    text(
        """
        SELECT of_tenant AS tenant_id, coalesce((SELECT max(number) FROM audit_batches WHERE tenant_id = of_tenant), 0) AS number
        FROM unnest(:tenants) AS of_tenant
        """
    ).bindparams(_TENANTS)
)
_KINDS: Final[dict[str, Any]] = {
    "tenant_id": Uuid(as_uuid=False),
    "number": BigInteger(),
    "row_count": BigInteger(),
    "root": LargeBinary(),
    "ids": LargeBinary(),
    "leaves": LargeBinary(),
}
_MADE = func.unnest(*(bindparam(name, type_=ARRAY(kind)) for name, kind in _KINDS.items())).table_valued(*_KINDS).render_derived()
_KEEP: Final = Query(audit_batches.insert().from_select([*_KINDS, "batch_time"], select(*(_MADE.c[name] for name in _KINDS), func.now())))


class ForeignLogError(Exception):
    """The log was copied into a server that counts transactions from an earlier number: it cannot be told what is new."""


class ProgressLostError(Exception):
    """Nobody knows any more which rows are in batches: whatever was taken for new now could be sealed twice, or never."""


class _Plan(NamedTuple):
    """A batch that is to be made: the keys of its rows, by id."""

    tenant_id: str
    number: int
    keys: list[bytes]


async def make(connection: Pipeline) -> int:
    """Make batches of all rows that were committed since the last time; return how many rows they hold.

    All batches are kept or none; should it fail, close the connection.
    """
    session = Session(connection, NO_TENANT)
    session.put(_ONE_SNAPSHOT, {})
    progress = (await session.ask(_OURS, {})).rows()
    if not progress:
        raise ProgressLostError("the snapshot of the last batches is gone: see docs/decisions/0047")
    if not progress[0]["ours"]:
        raise ForeignLogError("the audit log is of another server: its transaction ids have to be advanced, see docs/decisions/0047")
    new = (await session.ask(_NEW, {})).rows()
    if new:
        session.put(_HOLD, {})
        tenants = [row["tenant_id"] for row in new]
        last = {row["tenant_id"]: row["number"] for row in (await session.ask(_LAST, {"tenants": tenants})).rows()}
        for plans in _together(_planned(new, last)):
            await _keep(session, plans)
        session.put(_SEEN, {})
    await session.commit()
    return sum(len(row["ids"]) for row in new) // rows.ID_BYTES


def _planned(new: Iterable[Row], last: dict[str, int]) -> Iterator[_Plan]:
    for row in new:
        tenant_id, ids = row["tenant_id"], bytes(row["ids"])
        tenant = bytes.fromhex(tenant_id.replace("-", ""))
        keys = [tenant + ids[at : at + rows.ID_BYTES] for at in range(0, len(ids), rows.ID_BYTES)]
        for nth, start in enumerate(range(0, len(keys), LARGEST), 1):
            yield _Plan(tenant_id, last[tenant_id] + nth, keys[start : start + LARGEST])


def _together(plans: Iterable[_Plan]) -> Iterator[list[_Plan]]:
    """Yield batches in groups that are read and kept at once: no more rows than the largest batch has, or one batch more."""
    group: list[_Plan] = []
    for plan in plans:
        group.append(plan)
        if sum(len(each.keys) for each in group) >= LARGEST:
            yield group
            group = []
    if group:
        yield group


async def _keep(session: Session, plans: Sequence[_Plan]) -> None:
    leaves: dict[bytes, bytes] = {}
    keys = iter([key for plan in plans for key in plan.keys])
    while some := list(islice(keys, READ)):
        wanted = {"tenants": [uuid(key[: rows.ID_BYTES]) for key in some], "ids": [uuid(key[rows.ID_BYTES :]) for key in some]}
        found = (await session.ask(_ROWS, wanted)).found()
        leaves.update(await asyncio.to_thread(rows.leaves, found))
    made = await asyncio.to_thread(_batches, plans, leaves)
    await session.ask(_KEEP, {name: [row[name] for row in made] for name in _KINDS})


def _batches(plans: Iterable[_Plan], leaves: dict[bytes, bytes]) -> list[dict[str, Any]]:
    made = []
    for plan in plans:
        own = [leaves[key] for key in plan.keys]
        made.append(
            {
                "tenant_id": plan.tenant_id,
                "number": plan.number,
                "row_count": len(own),
                "root": tree.root(own),
                "ids": b"".join(key[rows.ID_BYTES :] for key in plan.keys),
                "leaves": b"".join(own),
            }
        )
    return made
