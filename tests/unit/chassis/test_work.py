"""A unit of work keeps all or nothing, however it ends, and gives its connection back as it got it."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import psycopg
import pytest
from psycopg.errors import DivisionByZero, QueryCanceled
from sqlalchemy import Text, bindparam, func, select, text

from chassis import contract, ids
from chassis.context import Caller, CallerKind, IdempotencyKey, Request, enter
from chassis.database import Database, Query, unit_of_work
from chassis.database.replays import Replay
from chassis.errors import Aborted, InvalidArgument, Reason
from chassis.sealing.keys import Memory, RootKey
from kith.crm.v1.contacts_pb2 import Contact
from kith.crm.v1.events_pb2 import ContactCreated, ContactUpdated
from tests.unit.chassis.moving import eventually
from tests.unit.chassis.servers import Served

Admin = psycopg.AsyncConnection[Any]
Call = Callable[..., Request]

SLEEP = Query(text("SELECT pg_sleep(60)"))
FAIL = Query(text("SELECT 1 / 0"))
LENGTH = Query(select(func.length(bindparam("text", type_=Text()))))
ONE = Query(text("SELECT 1 AS one"))
TOLD = Query(text("SELECT resource_id FROM audit_log"))


@pytest.fixture
async def admin(crm: Served) -> AsyncIterator[Admin]:
    async with await psycopg.AsyncConnection.connect(crm.admin, autocommit=True) as connection:
        await connection.execute("TRUNCATE outbox, idempotency, audit_log")
        yield connection


@pytest.fixture
async def database(crm: Served) -> AsyncIterator[Database]:
    async with Database(crm.runtime, size=2, keys=Memory(RootKey(secrets.token_bytes(32)))) as opened:
        yield opened


@pytest.fixture
def call(database: Database) -> Call:
    """Return what begins a call of one member; `key` and `body` are its idempotency key and what it was given for."""
    create = next(method for method in contract.methods("kith.crm.v1.ContactService") if method.name == "CreateContact")
    caller = Caller(kind=CallerKind.USER, tenant_id=ids.new(), user_id=ids.new())

    def begin(key: str = "", body: bytes = b"", user_id: str = "", tenant_id: str = "") -> Request:
        request = Request(
            request_id=ids.new(),
            database=database,
            method=create,
            caller=replace(caller, user_id=user_id or caller.user_id, tenant_id=tenant_id or caller.tenant_id),
            idempotency=IdempotencyKey(key=key, request_hash=body) if key else None,
        )
        enter(request)
        return request

    return begin


def created() -> ContactCreated:
    return ContactCreated(contact=Contact(id=ids.new(), etag='"1"'))


async def rows(admin: Admin, table: str) -> int:
    row = await (await admin.execute(f"SELECT count(*) FROM {table}".encode())).fetchone()
    return int(row[0]) if row else 0


async def waits(admin: Admin, event: str) -> bool:
    found = await admin.execute("SELECT FROM pg_stat_activity WHERE wait_event_type = %s AND usename = 'kith_crm_runtime'", [event])
    return found.rowcount > 0


@asynccontextmanager
async def locked(crm: Served, table: str) -> AsyncIterator[None]:
    async with await psycopg.AsyncConnection.connect(crm.admin) as connection:
        await connection.execute(f"LOCK TABLE {table}".encode())
        yield


async def answers(call: Call) -> bool:
    call()
    async with unit_of_work() as work:
        row = await work.first(ONE)
    return row == {"one": 1}


async def test_a_commit_that_began_is_finished_however_often_the_call_is_cancelled(crm: Served, admin: Admin, call: Call) -> None:
    async def write() -> None:
        call()
        async with unit_of_work() as work:
            work.publish(created())

    async with locked(crm, "outbox"):
        writing = asyncio.create_task(write())
        await eventually(lambda: waits(admin, "Lock"))
        for _ in range(3):
            writing.cancel()
            await asyncio.sleep(0)
        assert not writing.done()
    with pytest.raises(asyncio.CancelledError):
        await writing
    assert [await rows(admin, table) for table in ("outbox", "audit_log")] == [1, 1]
    assert await answers(call)


async def test_a_call_that_is_cancelled_while_it_asks_keeps_nothing(admin: Admin, call: Call) -> None:
    async def write() -> None:
        call()
        async with unit_of_work() as work:
            work.publish(created())
            await work.first(SLEEP)

    writing = asyncio.create_task(write())
    await eventually(lambda: waits(admin, "Timeout"))
    writing.cancel()
    with pytest.raises((asyncio.CancelledError, QueryCanceled)):
        await writing
    assert await rows(admin, "outbox") == 0
    assert all([await answers(call) for _ in range(4)])

    async def nothing_waits() -> bool:
        return not await waits(admin, "Timeout")

    await eventually(nothing_waits)


async def test_a_statement_that_fails_undoes_the_others_and_harms_nobody_after_it(admin: Admin, call: Call) -> None:
    async def write() -> None:
        call()
        async with unit_of_work() as work:
            work.publish(created())
            await work.run(FAIL)

    with pytest.raises(DivisionByZero):
        await write()
    assert await rows(admin, "outbox") == 0
    assert all([await answers(call) for _ in range(4)])


async def test_a_statement_that_nobody_waits_for_undoes_the_others_when_it_fails(admin: Admin, call: Call) -> None:
    async def write() -> None:
        call()
        async with unit_of_work() as work:
            await work.send(FAIL)
            work.publish(created())

    with pytest.raises(DivisionByZero):
        await write()
    assert await rows(admin, "outbox") == 0
    assert all([await answers(call) for _ in range(4)])


async def test_a_question_sees_what_was_written_before_it_and_nothing_that_comes_behind_it(call: Call) -> None:
    request = call()
    async with unit_of_work() as work:
        questions = []
        for number in range(3):
            questions.append(await work.ask(TOLD))
            work.note(str(number))
            await work.flush()
        assert [len(await question.rows()) for question in reversed(questions)] == [2, 1, 0]
        assert len(await work.all(TOLD)) == 3
    assert request.noted


async def test_what_failed_with_a_question_is_what_is_raised_whatever_is_asked_next(call: Call) -> None:
    async def write(*, wait: bool) -> None:
        call()
        async with unit_of_work() as work:
            await work.send(FAIL)
            question = await work.ask(ONE)
            await (question.rows() if wait else work.all(ONE))

    for wait in (True, False):
        with pytest.raises(DivisionByZero):
            await write(wait=wait)
    assert all([await answers(call) for _ in range(4)])


@pytest.mark.parametrize("count", [1, 2])
async def test_an_event_and_its_trail_are_kept_alike_whether_alone_or_not(admin: Admin, call: Call, count: int) -> None:
    request = call()
    events = [ContactUpdated(contact=Contact(id=ids.new(), etag='"2"'), changed={"paths": ["given_name", "tags"]}) for _ in range(count)]
    async with unit_of_work() as work:
        for event in events:
            work.publish(event)
    told = await (await admin.execute("SELECT key, version, headers ->> 'actor' FROM outbox ORDER BY seq")).fetchall()
    assert told == [(event.contact.id, 2, request.caller.id) for event in events]
    trail = await (await admin.execute("SELECT resource_id, version, changed, actor_id FROM audit_log")).fetchall()
    assert sorted(trail) == [(event.contact.id, 2, ["given_name", "tags"], request.caller.id) for event in events]


@pytest.mark.parametrize("size", [1_000_000, 8_000_000])
async def test_large_rows_are_written_whole(admin: Admin, call: Call, size: int) -> None:
    call("key", b"body")
    async with asyncio.timeout(120), unit_of_work() as work:
        await work.send(LENGTH, text="x" * size)
        work.note("large", said="x" * size)
        work.answer(Contact(id="x" * size))
    found = await (await admin.execute("SELECT length(response), length(after ->> 'said') FROM idempotency, audit_log")).fetchall()
    assert [(response > size, said) for response, said in found] == [(True, size)]


async def test_what_cannot_be_written_beside_the_rows_undoes_them(admin: Admin, call: Call) -> None:
    call("key")
    with pytest.raises(LookupError, match="no answer to keep"):
        async with unit_of_work() as work:
            work.publish(created())
    assert [await rows(admin, table) for table in ("outbox", "audit_log", "idempotency")] == [0, 0, 0]


async def keep(call: Call, *given: Any, **caller: str) -> None:
    call(*given, **caller)
    async with unit_of_work() as work:
        work.answer(Contact(id="the first answer"))


async def test_a_key_is_answered_with_what_it_was_answered_with_first(admin: Admin, call: Call) -> None:
    await keep(call, "key", b"body")
    with pytest.raises(Replay) as replay:
        await keep(call, "key", b"body")
    assert Contact.FromString(replay.value.response).id == "the first answer"
    with pytest.raises(InvalidArgument) as reused:
        await keep(call, "key", b"another body")
    assert reused.value.reason == Reason.IDEMPOTENCY_KEY_REUSED


async def test_a_key_belongs_to_its_principal_and_tenant(admin: Admin, call: Call) -> None:
    await keep(call, "key", b"body")
    await keep(call, "key", b"another body", user_id=ids.new())
    await keep(call, "key", b"another body", tenant_id=ids.new())
    assert await rows(admin, "idempotency") == 3


async def test_a_key_whose_first_call_still_runs_is_refused_at_once(admin: Admin, call: Call) -> None:
    call("key", b"body")
    async with unit_of_work() as work:
        with pytest.raises(Aborted) as refused:
            await asyncio.create_task(keep(call, "key", b"body"))
        work.answer(Contact())
    assert (refused.value.reason, refused.value.retry_after) == (Reason.IDEMPOTENCY_IN_PROGRESS, 1)


async def test_a_call_that_only_asks_leaves_its_key_unused(admin: Admin, call: Call) -> None:
    call("key", b"validate_only")
    async with unit_of_work() as work:
        work.keep_nothing()
        work.publish(created())
        work.answer(Contact())
    assert [await rows(admin, table) for table in ("outbox", "audit_log", "idempotency")] == [0, 0, 0]
    await keep(call, "key", b"in earnest")


async def test_a_call_of_several_units_of_work_leaves_the_line_that_the_contract_asks_for_once(admin: Admin, call: Call) -> None:
    request = call()
    request.method = next(method for method in contract.methods("kith.crm.v1.ContactService") if method.name == "ExportContacts")
    for _ in range(3):
        async with unit_of_work():
            pass
    assert await rows(admin, "audit_log") == 1
