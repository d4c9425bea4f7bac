"""Requests of many tenants, each of which looks whether it met another's rows, and what must have become of what they wrote."""

import asyncio
import random
from collections import Counter
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

import psycopg
from sqlalchemy import Column, Integer, MetaData, Text, Uuid, bindparam, func, select, text

from chassis import ids
from chassis.context import Caller, CallerKind, Request, enter
from chassis.database import Database, Query, tenancy, tenant_table, unit_of_work
from tests.unit.chassis import servers
from tests.unit.chassis.servers import Served

METADATA = MetaData()
sayings = tenant_table(
    "sayings",
    METADATA,
    Column("id", Uuid(as_uuid=False), nullable=False),
    Column("pair", Uuid(as_uuid=False), nullable=False),
    Column("said", Text, nullable=False),
)
SAY = Query(sayings.insert().inline().values({name: bindparam(name) for name in ("id", "pair", "said")}))
SAID = Query(select(sayings.c.said))
LOCKED = Query(select(sayings.c.said).with_for_update())
SLOW = Query(select(sayings.c.said, func.pg_sleep(60)))
NO_NUMBER = Query(select(sayings.c.said.cast(Integer)))
FAIL = Query(text("SELECT 1 / 0"))

PAIRS = "SELECT tenant_id::text, said, pair::text, count(*) FROM sayings GROUP BY 1, 2, 3"
TIMEOUT = "300ms"  # of a statement: more than any takes that does not sleep
AT_ONCE = 40  # fewer than may wait for a connection
CANCELLED = 0.15
NONSENSE: dict[str, Any] = {"given": object()}

Ask = Callable[[str], Coroutine[Any, Any, None]]


class GivenUpError(Exception):
    """A handler changed its mind."""


async def tables(admin_dsn: str, service: str, tenants: Sequence[str]) -> Served:
    """Make a database in which every tenant said its own name, and whose statements end soon."""
    made = await servers.database(admin_dsn, service)
    servers.migrate(made, lambda op: (METADATA.create_all(op.get_bind()), tenancy.protect(op, "sayings")))
    async with await psycopg.AsyncConnection.connect(made.admin, autocommit=True) as admin:
        for setting in (f"statement_timeout = '{TIMEOUT}'", "synchronous_commit = on"):  # what was acknowledged survives a crash
            await admin.execute(f"ALTER ROLE kith_{service}_runtime IN DATABASE kith_{service} SET {setting}".encode())
        one = "INSERT INTO sayings (tenant_id, id, pair, said) SELECT t::uuid, t::uuid, t::uuid, t FROM unnest(%s::text[]) t"
        await admin.execute(one, [list(tenants)])
    return made


class Requests:
    """Asks in a random order that a seed repeats, some at once, of whom some go away; `ends` counts how they ended."""

    def __init__(self, database: Database, tenants: Sequence[str], *, seed: int) -> None:
        self.ends: Counter[str] = Counter()
        self._database = database
        self._tenants = tenants
        self._dice = random.Random(seed)
        self._kept: set[str] = set()
        self._undone: set[str] = set()

    async def ask(self, count: int, *kinds: tuple[Ask, float]) -> None:
        """Ask that often, each kind as often beside the others as its number says."""
        turns = asyncio.Semaphore(AT_ONCE)
        asks, often = zip(*kinds, strict=True)

        async def one() -> None:
            async with turns:
                await self._watch(self._dice.choices(asks, often)[0](self._dice.choice(self._tenants)))

        await asyncio.gather(*(one() for _ in range(count)))

    async def read(self, tenant: str) -> None:
        """Look at what was said."""
        found = await self._database.read(tenant, SAID, {})
        assert {row["said"] for row in found} == {tenant}

    async def wait(self, tenant: str) -> None:
        """Read what takes too long."""
        await self._database.read(tenant, SLOW, {})

    async def fail(self, tenant: str) -> None:
        """Read what cannot be read."""
        await self._database.read(tenant, NO_NUMBER, {})

    async def say_nonsense(self, tenant: str) -> None:
        """Ask for what never leaves the process."""
        await self._database.read(tenant, SAY, NONSENSE)

    async def write(self, tenant: str) -> None:
        """Say something twice in a transaction, which may be given up or fail."""
        pair, fate, ready = ids.new(), self._dice.random(), False
        enter(Request(request_id=ids.new(), database=self._database, caller=Caller(kind=CallerKind.USER, tenant_id=tenant), origin="test"))
        try:
            async with unit_of_work() as work:
                assert {row["said"] for row in await work.all(SAID)} == {tenant}
                await work.send(SAY, id=ids.new(), pair=pair, said=tenant)
                assert {row["said"] for row in await work.all(LOCKED)} == {tenant}
                if fate < 0.1:
                    raise GivenUpError  # noqa: TRY301 - inside the unit of work, as a handler does
                await work.send(FAIL if fate < 0.2 else SAY, id=ids.new(), pair=pair, said=tenant)
                ready = fate >= 0.2
        except BaseException:
            if not ready:
                self._undone.add(pair)
            raise
        self._kept.add(pair)

    async def came_out_right(self, served: Served) -> int:
        """Compare what is there with what was acknowledged; return how much that was."""
        async with await psycopg.AsyncConnection.connect(served.admin) as admin:
            found = await (await admin.execute(PAIRS)).fetchall()
        assert [said for tenant, said, *_ in found if said != tenant] == []
        there = {pair: count for tenant, _, pair, count in found if pair != tenant}
        assert set(there.values()) <= {2}
        assert self._kept <= there.keys()
        assert self._undone.isdisjoint(there)
        return len(self._kept)

    async def _watch(self, asked: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(asked)
        if self._dice.random() < CANCELLED:
            for _ in range(self._dice.choice([0, 1, 2, 5, 20, 60])):
                await asyncio.sleep(0)
            for _ in range(self._dice.choice([1, 1, 2])):  # a deadline here and the caller's often end together
                task.cancel()
                await asyncio.sleep(0)
        (ended,) = await asyncio.gather(task, return_exceptions=True)
        self.ends[type(ended).__name__] += 1
        if isinstance(ended, BaseException) and not isinstance(ended, (psycopg.Error, KeyError, GivenUpError, asyncio.CancelledError)):
            raise ended
