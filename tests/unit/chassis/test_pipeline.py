"""Statements of many calls on one connection: each gets its own rows and its own tenant's, whatever happens to the others."""

import asyncio
import random
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, date, timedelta
from typing import Any

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st
from psycopg import errors
from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    Column,
    Date,
    DateTime,
    Float,
    Integer,
    Interval,
    LargeBinary,
    MetaData,
    SmallInteger,
    Text,
    Uuid,
    bindparam,
    func,
    select,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.types import TypeEngine

from chassis import ids
from chassis.database import Database, Query, tenancy, tenant_table
from chassis.database import pipeline as module
from chassis.database.pipeline import LostError, Pipeline
from chassis.database.pool import CrowdedError, pipeline
from chassis.database.setting import ENTER
from tests.unit.chassis import servers
from tests.unit.chassis.moving import eventually
from tests.unit.chassis.servers import Served

METADATA = MetaData()
notes = tenant_table("notes", METADATA, Column("id", Uuid(as_uuid=False), nullable=False), Column("said", Text, nullable=False))

SAID = Query(select(notes.c.said).where(notes.c.said != bindparam("not_said", type_=Text())))
FAILS = Query(select(notes.c.said.cast(Integer)).where(notes.c.said == bindparam("said", type_=Text())))
SLOW = Query(text("SELECT pg_sleep(0.02)"))
FOR_EVER = Query(text("SELECT pg_sleep(60)"))
ONE = Query(text("SELECT 1 AS one"))
TENANTS = [ids.new() for _ in range(40)]


@pytest.fixture(scope="module")
async def served(admin_dsn: str) -> Served:
    """A database in which every tenant said its own name."""
    made = await servers.database(admin_dsn, "notes")
    servers.migrate(made, lambda op: (METADATA.create_all(op.get_bind()), tenancy.protect(op, "notes")))
    async with await psycopg.AsyncConnection.connect(made.admin, autocommit=True) as admin:
        for tenant in TENANTS:
            await admin.execute("INSERT INTO notes VALUES (%s, %s, %s)", [tenant, ids.new(), tenant])
    return made


@pytest.fixture
async def database(served: Served) -> AsyncIterator[Database]:
    async with Database(served.runtime, size=2) as opened:
        yield opened


@pytest.fixture
async def line(served: Served) -> AsyncIterator[Pipeline]:
    async with pipeline(served.runtime) as opened:
        yield opened


async def says(database: Database, tenant: str) -> list[str]:
    return [row["said"] for row in await database.read(tenant, SAID, {"not_said": "nothing"})]


async def test_thousands_of_interleaved_reads_never_see_another_tenant(database: Database) -> None:
    """Some fail on the server, some are given up under way, some say nonsense that never leaves the process."""
    chance = random.Random(7)
    turns = asyncio.Semaphore(60)
    kept = 0

    async def one() -> None:
        nonlocal kept
        tenant, fate = chance.choice(TENANTS), chance.random()
        async with turns:
            if fate < 0.1:
                with pytest.raises(errors.InvalidTextRepresentation):
                    await database.read(tenant, FAILS, {"said": tenant})
            elif fate < 0.2:
                reading = asyncio.create_task(database.read(tenant, SLOW if fate < 0.12 else SAID, {"not_said": ""}))
                for _ in range(chance.randrange(4)):
                    await asyncio.sleep(0)
                reading.cancel()
                await asyncio.gather(reading, return_exceptions=True)
            elif fate < 0.25:
                with pytest.raises((ValueError, KeyError)):
                    await database.read("no tenant" if fate < 0.22 else tenant, SAID, {"wrong": 1})
            else:
                assert await says(database, tenant) == [tenant]
                kept += 1

    await asyncio.gather(*(one() for _ in range(4000)))
    assert kept > 2500


async def test_a_read_without_a_tenant_is_an_error_between_reads_with_one(database: Database) -> None:
    async def without() -> None:
        with pytest.raises((errors.UndefinedObject, errors.InvalidTextRepresentation)):
            await database.read("", SAID, {"not_said": ""})

    async def within(tenant: str) -> None:
        assert await says(database, tenant) == [tenant]

    await asyncio.gather(*(work for tenant in TENANTS for work in (within(tenant), without())))


async def test_a_transaction_has_one_tenant(line: Pipeline) -> None:
    for tenant in TENANTS[:2]:
        line.put(ENTER, ENTER.parameters({"tenant": tenant}))
    answers = await line.sync()
    assert len(answers.answers) == 1
    assert isinstance(answers.error, errors.InsufficientPrivilege)


async def test_what_fails_fails_alone(line: Pipeline) -> None:
    found = await asyncio.gather(line.ask(ONE, {}), line.ask(Query(text("SELECT 1 / 0")), {}), line.ask(ONE, {}), return_exceptions=True)
    assert [getattr(each, "rows", list)() for each in found] == [[{"one": 1}], [], [{"one": 1}]]
    assert isinstance(found[1], errors.DivisionByZero)


async def test_a_statement_that_cannot_be_prepared_fails_each_who_runs_it_and_nobody_else(line: Pipeline) -> None:
    wrong = Query(text("SELECT nothing FROM nowhere"))
    found = await asyncio.gather(line.ask(wrong, {}), line.ask(ONE, {}), line.ask(wrong, {}), return_exceptions=True)
    assert [isinstance(each, psycopg.Error) for each in found] == [True, False, True]
    with pytest.raises(errors.UndefinedTable):
        await line.ask(wrong, {})


async def test_an_old_statement_makes_room_and_is_prepared_again(line: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "KEPT_PREPARED", 3)
    for _ in range(2):
        for number in range(7):
            assert (await line.ask(Query(text(f"SELECT {number} AS number")), {})).rows() == [{"number": number}]
    known = Query(text("SELECT count(*) AS known FROM pg_prepared_statements"))
    assert (await line.ask(known, {})).rows()[0]["known"] <= 3


async def test_a_statement_that_a_migration_outdated_is_prepared_anew(served: Served) -> None:
    everything = Query(text("SELECT * FROM changing"))
    async with await psycopg.AsyncConnection.connect(served.admin, autocommit=True) as admin, Database(served.runtime) as database:
        await admin.execute("CREATE TABLE changing AS SELECT 1 AS number")
        await admin.execute("GRANT SELECT ON changing TO PUBLIC")
        assert await database.read("", everything, {}) == [{"number": 1}]
        await admin.execute("ALTER TABLE changing ALTER number TYPE text")

        async def new() -> bool:
            try:
                return await database.read("", everything, {}) == [{"number": "1"}]
            except errors.FeatureNotSupported:
                return False

        await eventually(new)
        await admin.execute("DROP TABLE changing")


async def test_whoever_is_under_way_hears_of_a_lost_connection_and_the_next_gets_another(served: Served, database: Database) -> None:
    reading = [asyncio.create_task(database.read("", FOR_EVER, {})) for _ in range(6)]
    async with await psycopg.AsyncConnection.connect(served.admin, autocommit=True) as admin:

        async def all_asleep() -> bool:
            found = await admin.execute("SELECT FROM pg_stat_activity WHERE wait_event = 'PgSleep'")
            return found.rowcount == 2

        await eventually(all_asleep)
        await admin.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'kith_notes_runtime'")
    found = await asyncio.gather(*reading, return_exceptions=True)
    assert all(isinstance(each, psycopg.OperationalError) for each in found)
    assert any(isinstance(each, LostError) for each in found)
    assert await says(database, TENANTS[0]) == [TENANTS[0]]


async def test_what_cannot_be_sent_ends_the_connection_and_joins_no_other_batch(line: Pipeline) -> None:
    more = 70_000  # parameters than the protocol counts
    query = Query(text("SELECT 1 AS more"))
    query.formats = [1] * more
    line.put(ENTER, ENTER.parameters({"tenant": TENANTS[0]}))
    with pytest.raises(psycopg.OperationalError, match="number of parameters"):
        line.put(query, [b""] * more)
    assert line.lost
    with pytest.raises(LostError):
        await line.ask(ONE, {})


async def test_more_reads_than_may_wait_are_refused(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chassis.database.pool.UNDER_WAY_PER_PIPELINE", 3)
    found = await asyncio.gather(*(database.read("", SLOW, {}) for _ in range(20)), return_exceptions=True)
    assert {type(each) for each in found} == {list, CrowdedError}
    assert await says(database, TENANTS[0]) == [TENANTS[0]]


async def test_a_second_statement_behind_a_semicolon_is_refused(line: Pipeline) -> None:
    with pytest.raises(errors.SyntaxError, match="multiple commands"):
        await line.ask(Query(text("SELECT 1; SELECT 2")), {})


@pytest.mark.parametrize("value", ["\x00", "a\x00b"])
async def test_a_text_never_ends_at_a_nul(line: Pipeline, value: str) -> None:
    with pytest.raises(errors.CharacterNotInRepertoire):
        await line.ask(_echo(Text()), {"value": value})


MOMENTS = st.datetimes(timezones=st.just(UTC))
TEXTS = st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]))
PLAIN = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | TEXTS
JSON = st.recursive(PLAIN, lambda some: st.lists(some, max_size=3) | st.dictionaries(TEXTS, some, max_size=3), max_leaves=6)
VALUES: list[tuple[TypeEngine[Any], st.SearchStrategy[Any]]] = [
    (Text(), TEXTS),
    (Uuid(as_uuid=False), st.uuids().map(str)),
    (BigInteger(), st.integers(-(2**63), 2**63 - 1)),
    (Integer(), st.integers(-(2**31), 2**31 - 1)),
    (SmallInteger(), st.integers(-(2**15), 2**15 - 1)),
    (Boolean(), st.booleans()),
    (Float(), st.floats(allow_nan=False)),
    (DateTime(timezone=True), MOMENTS),
    (Date(), st.dates(date(1, 1, 1))),
    (LargeBinary(), st.binary()),
    (JSONB(), st.lists(JSON, max_size=3) | st.dictionaries(TEXTS, JSON, max_size=3)),  # a text is taken for JSON
]


def _echo(kind: TypeEngine[Any]) -> Query:
    return Query(select(bindparam("value", type_=kind).label("value")))


@pytest.fixture(scope="module")
def echoing(served: Served) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(served.runtime, autocommit=True) as connection:
        yield connection


@pytest.mark.parametrize(("kind", "values"), VALUES, ids=[type(kind).__name__ for kind, _ in VALUES])
def test_values_come_back_as_they_went(echoing: psycopg.Connection[Any], kind: TypeEngine[Any], values: st.SearchStrategy[Any]) -> None:
    """By the functions that a pipeline writes and reads with, on a connection that waits."""
    one, many = _echo(kind), _echo(ARRAY(kind))

    def back(query: Query, value: Any) -> Any:
        result = echoing.pgconn.exec_params(query.command, query.parameters({"value": value}), param_formats=query.formats, result_format=1)
        assert result.status == psycopg.pq.ExecStatus.TUPLES_OK, result.get_error_message()
        (row,) = module.Prepared(b"").found(result).rows()
        return row["value"]

    @given(values, st.lists(st.none() | values, max_size=4))
    def check(value: Any, several: list[Any]) -> None:
        assert back(one, value) == value
        assert back(many, several) == several

    check()


@pytest.mark.parametrize("value", [timedelta(days=31), timedelta(microseconds=-1)])
async def test_a_length_of_time_is_what_it_is(line: Pipeline, value: timedelta) -> None:
    seconds = Query(select(func.extract("epoch", bindparam("value", type_=Interval())).cast(Float()).label("seconds")))
    assert (await line.ask(seconds, {"value": value})).rows() == [{"seconds": value.total_seconds()}]
