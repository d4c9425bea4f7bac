"""Runs: class tenant. A row is work to be done; whoever holds its lease does it, and it goes when the work is done."""

from datetime import datetime, timedelta
from typing import Final, NamedTuple

from sqlalchemy import BigInteger, Column, DateTime, Index, bindparam, func, select

from chassis import ids
from chassis.database import Query, UnitOfWork, tenant_table
from chassis.database.columns import identifier, moment, reference, word
from services.crm.store import METADATA

LEASE: Final = timedelta(seconds=10)
"""Time without a sign of life after which another process takes a run over; some ten times what a step takes, also where the run gives
way to calls."""

runs: Final = tenant_table(
    "runs",
    METADATA,
    identifier("id"),
    word("kind"),
    identifier("subject_id"),
    reference("user_id"),
    moment("due_time"),
    reference("lease"),
    Column("attempts", BigInteger, nullable=False),
    Index("runs_due", "tenant_id", "due_time"),
)
_R: Final = runs.c
_MINE = (_R.id == bindparam("run", type_=_R.id.type)) & (_R.lease == bindparam("mine", type_=_R.lease.type))
_UNTIL = bindparam("until", type_=_R.due_time.type)
_NAMES: Final = ("id", "kind", "subject_id", "user_id", "due_time", "attempts")
_ADD: Final = Query(runs.insert().values({name: bindparam(name, type_=_R[name].type) for name in _NAMES}))
_NEXT = select(_R.id).where(_R.due_time <= bindparam("now", type_=_R.due_time.type)).order_by(_R.due_time).limit(1)
_CLAIM: Final = Query(
    runs.update()
    .where(_R.id == _NEXT.with_for_update(skip_locked=True).scalar_subquery())
    .values(lease=bindparam("mine", type_=_R.lease.type), due_time=_UNTIL, attempts=_R.attempts + 1)
    .returning(_R.id, _R.kind, _R.subject_id, _R.user_id, _R.attempts)
)
_HOLD: Final = Query(runs.update().where(_MINE).values(due_time=_UNTIL, attempts=bindparam("none", type_=BigInteger())))
_PUT_OFF: Final = Query(runs.update().where(_MINE).values(due_time=_UNTIL))
_GIVE_BACK: Final = Query(runs.update().where(_MINE).values(due_time=_UNTIL, attempts=_R.attempts - 1))
_DONE: Final = Query(runs.delete().where(_MINE))
_TENANTS: Final = Query(select(func.tenants_with_due_runs(bindparam("now", type_=DateTime(timezone=True))).label("tenant_id")))


class Run(NamedTuple):
    """A run that this process holds."""

    id: str
    tenant_id: str
    kind: str
    subject_id: str
    user_id: str
    lease: str
    attempts: int


async def add(work: UnitOfWork, kind: str, subject_id: str, due: datetime) -> None:
    """Ask for work on a subject, in the name of the caller."""
    user = work.caller.user_id or None
    await work.run(_ADD, id=ids.new(), kind=kind, subject_id=subject_id, user_id=user, due_time=due, attempts=0)


async def tenants_with_due(work: UnitOfWork) -> list[str]:
    """Return the tenants that have something to be done; a question over all tenants that is answered with ids alone."""
    return [str(row["tenant_id"]) for row in await work.all(_TENANTS, now=work.now)]


async def claim(work: UnitOfWork) -> Run | None:
    """Take the lease of the run that is longest due; None when there is none, or others take them."""
    lease = ids.new()
    row = await work.first(_CLAIM, now=work.now, mine=lease, until=work.now + LEASE)
    if row is None:
        return None
    return Run(row["id"], work.tenant_id, row["kind"], row["subject_id"], row["user_id"] or "", lease, row["attempts"])


async def hold(work: UnitOfWork, run: Run) -> bool:
    """Renew the lease with a step that stays done; False when another process has it now."""
    return await work.run(_HOLD, run=run.id, mine=run.lease, until=work.now + LEASE, none=0) == 1


async def renew(work: UnitOfWork, run: Run) -> bool:
    """Renew the lease; False when another process has it now."""
    return await work.run(_PUT_OFF, run=run.id, mine=run.lease, until=work.now + LEASE) == 1


async def put_off(work: UnitOfWork, run: Run, until: datetime) -> None:
    """Let the run be taken by anybody from a time on."""
    await work.run(_PUT_OFF, run=run.id, mine=run.lease, until=until)


async def give_back(work: UnitOfWork, run: Run) -> None:
    """Let the run be taken by anybody at once, as if it had not been: this process ends, which says nothing about the run."""
    await work.run(_GIVE_BACK, run=run.id, mine=run.lease, until=work.now)


async def done(work: UnitOfWork, run: Run) -> bool:
    """Forget a run whose work is done; False when another process has it now."""
    return await work.run(_DONE, run=run.id, mine=run.lease) == 1
