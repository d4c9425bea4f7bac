"""Rows become batches whichever way transactions end, and are compared with them, over roots that are those of RFC 6962."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from hashlib import sha256
from itertools import chain, pairwise
from typing import Any

import psycopg
import pytest
from google.protobuf.empty_pb2 import Empty
from hypothesis import given
from hypothesis import strategies as st
from psycopg.errors import CheckViolation

from chassis import ids
from chassis.context import enter_as
from chassis.database import Database
from chassis.database.pipeline import Pipeline
from chassis.database.pool import pipeline
from chassis.trail import batches, ends, receipts, tree
from chassis.trail.batches import BY_INDEX, ForeignLogError, ProgressLostError
from chassis.trail.check import AuditTrailService
from chassis.trail.receipts import Receipt
from kith.common.v1.audit_pb2 import AuditFlawKind, CheckAuditBatchesRequest, CheckAuditEndResponse
from tests.unit.chassis import servers
from tests.unit.chassis.servers import Served

Admin = psycopg.AsyncConnection[Any]
LEAVES = st.lists(st.binary(min_size=32, max_size=32), max_size=70)
TENANT, OTHER = ids.new(), ids.new()
INSERT = """
    INSERT INTO audit_log (tenant_id, id, at, actor_kind, actor_id, session_id, method, action, resource_id, version, changed,
                           request_id, client_ip, user_agent)
    SELECT %s, each::uuid, now(), 'user', '', '', '', '', '', 0, '{}', '', '', '' FROM unnest(%s::text[]) AS each
"""


def as_the_rfc_says(leaves: list[bytes]) -> bytes:
    """Section 2.1: MTH({}) = SHA-256(), MTH({d0}) = the leaf, MTH(D[n]) = SHA-256(0x01 || MTH(D[0:k]) || MTH(D[k:n])), k < n <= 2k."""
    if not leaves:
        return sha256().digest()
    if len(leaves) == 1:
        return leaves[0]
    half = 1 << (len(leaves) - 1).bit_length() - 1
    return sha256(b"\x01" + as_the_rfc_says(leaves[:half]) + as_the_rfc_says(leaves[half:])).digest()


@given(LEAVES)
def test_the_root_is_that_of_the_rfc(leaves: list[bytes]) -> None:
    assert tree.root(leaves) == as_the_rfc_says(leaves)


@given(LEAVES.filter(bool), st.data())
def test_any_other_leaves_have_another_root(leaves: list[bytes], data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(leaves) - 1))
    changed = [sha256(leaf).digest() if nth == place else leaf for nth, leaf in enumerate(leaves)]
    cut, doubled, turned = leaves[:place] + leaves[place + 1 :], [*leaves, leaves[-1]], leaves[::-1]
    for other in (changed, cut, doubled, turned):
        assert (tree.root(other) == tree.root(leaves)) == (other == leaves)


def test_a_leaf_is_no_node() -> None:
    left, right = tree.leaf(b"1"), tree.leaf(b"2")
    assert tree.leaf(left + right) != tree.root([left, right])
    assert tree.leaf(b"") == bytes.fromhex("6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d")


@pytest.fixture(scope="module")
async def served(admin_dsn: str) -> Served:
    return await servers.database(admin_dsn, "sealed")


@pytest.fixture
async def admin(served: Served) -> AsyncIterator[Admin]:
    async with await psycopg.AsyncConnection.connect(served.admin, autocommit=True) as connection:
        await connection.execute("TRUNCATE audit_log, audit_batches")
        await connection.execute("DELETE FROM audit_progress")
        await connection.execute("INSERT INTO audit_progress (snapshot) VALUES (CAST(pg_current_snapshot() AS text))")
        yield connection


@pytest.fixture
async def sealer(served: Served, admin: Admin) -> AsyncIterator[Pipeline]:
    """A connection as the process has that seals."""
    async with looking(served) as connection:
        yield connection


@asynccontextmanager
async def looking(served: Served) -> AsyncIterator[Pipeline]:
    async with pipeline(served.system) as connection:
        await connection.ask(BY_INDEX, {})
        yield connection


async def add(connection: Admin, *, count: int = 1, tenant_id: str = TENANT) -> list[str]:
    added = [ids.new() for _ in range(count)]
    await connection.execute(INSERT, [tenant_id, added])
    return added


async def batched(admin: Admin, tenant_id: str = TENANT) -> list[list[str]]:
    """Return the ids of each batch of the tenant."""
    cursor = await admin.execute("SELECT ids, leaves, row_count FROM audit_batches WHERE tenant_id = %s ORDER BY number", [tenant_id])
    found = await cursor.fetchall()
    assert all(len(ids) == 16 * count and len(leaves) == 32 * count for ids, leaves, count in found)
    return [[batches.uuid(raw[at : at + 16]) for at in range(0, len(raw), 16)] for raw, _, _ in found]


async def test_each_tenants_rows_make_batches_of_their_own(admin: Admin, sealer: Pipeline) -> None:
    mine, others = await add(admin, count=3), await add(admin, count=2, tenant_id=OTHER)
    assert await batches.make(sealer) == 5
    assert await batches.make(sealer) == 0
    more = await add(admin)
    assert await batches.make(sealer) == 1
    assert (await batched(admin), await batched(admin, OTHER)) == ([mine, more], [others])


async def test_many_rows_make_several_batches(admin: Admin, sealer: Pipeline) -> None:
    added = await add(admin, count=batches.LARGEST + 10)
    assert await batches.make(sealer) == len(added)
    assert await batched(admin) == [sorted(added)[: batches.LARGEST], sorted(added)[batches.LARGEST :]]


async def test_rows_that_are_committed_late_are_not_left_out(served: Served, admin: Admin, sealer: Pipeline) -> None:
    """The earlier transaction ends last; others begin and end between, and are sealed meanwhile."""
    async with await psycopg.AsyncConnection.connect(served.admin) as late, await psycopg.AsyncConnection.connect(served.admin) as undone:
        lost, first = await add(undone), await add(late)
        between = await add(admin)
        assert await batches.make(sealer) == 1
        second = await add(late)
        after = await add(admin)
        assert await batches.make(sealer) == 1
        await late.commit()
        await undone.rollback()
        assert await batches.make(sealer) == 2
    assert await batches.make(sealer) == 0
    assert await batched(admin) == [between, after, [*first, *second]]
    assert lost[0] not in list(chain.from_iterable(await batched(admin)))


async def test_rows_of_savepoints_belong_to_their_transaction(served: Served, admin: Admin, sealer: Pipeline) -> None:
    async with await psycopg.AsyncConnection.connect(served.admin) as other:
        await other.execute("SAVEPOINT a")
        kept = await add(other)
        await other.execute("RELEASE a; SAVEPOINT b")
        await add(other)
        await other.execute("ROLLBACK TO b")
        assert await batches.make(sealer) == 0
        await other.commit()
    assert await batches.make(sealer) == 1
    assert await batched(admin) == [kept]


async def test_writers_and_a_sealer_side_by_side_leave_nothing_out_and_take_nothing_twice(
    served: Served, admin: Admin, sealer: Pipeline
) -> None:
    ended = asyncio.Event()

    async def write(pause: float) -> list[str]:
        added: list[str] = []
        async with await psycopg.AsyncConnection.connect(served.admin) as connection:
            for nth in range(30):
                rows = await add(connection, count=2)
                await asyncio.sleep(pause * (nth % 3))
                if nth % 5:
                    await connection.commit()
                    added += rows
                else:
                    await connection.rollback()
        return added

    async def seal() -> None:
        while not ended.is_set():
            await batches.make(sealer)

    sealing = asyncio.create_task(seal())
    added = list(chain.from_iterable(await asyncio.gather(*(write(pause) for pause in (0, 0.001, 0.003, 0.01)))))
    ended.set()
    await sealing
    await batches.make(sealer)
    assert sorted(chain.from_iterable(await batched(admin))) == sorted(added)


class Killed(Exception):
    """The process died."""


@pytest.mark.parametrize("step", range(1, 8))
async def test_a_process_that_dies_at_any_step_leaves_nothing_half(
    served: Served, admin: Admin, step: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    added = await add(admin, count=3) + await add(admin, count=2, tenant_id=OTHER)
    steps = 0
    whole = batches.Session.ask

    async def ask(session: Any, query: Any, values: dict[str, Any]) -> Any:
        nonlocal steps
        steps += 1
        if steps == step:
            raise Killed
        return await whole(session, query, values)

    monkeypatch.setattr(batches.Session, "ask", ask)
    async with looking(served) as connection:
        try:
            await batches.make(connection)
        except Killed:
            assert await batched(admin) + await batched(admin, OTHER) == []
        else:
            assert step > steps
    monkeypatch.undo()
    async with looking(served) as connection:
        await batches.make(connection)
    assert sorted(chain.from_iterable(await batched(admin) + await batched(admin, OTHER))) == sorted(added)


async def test_two_that_look_at_once_take_no_row_twice(served: Served, admin: Admin) -> None:
    added = await add(admin, count=100)
    async with looking(served) as one, looking(served) as other:
        done = await asyncio.gather(batches.make(one), batches.make(other), return_exceptions=True)
    assert [each for each in done if each == 100] == [100]
    assert await batched(admin) == [sorted(added)]


async def test_a_log_that_another_server_wrote_is_not_guessed_at(admin: Admin, sealer: Pipeline) -> None:
    await admin.execute("UPDATE audit_progress SET snapshot = '999999999:999999999:'")
    with pytest.raises(ForeignLogError):
        await batches.make(sealer)


def sealing(sealed: list[Any]) -> Callable[[Any], Any]:
    async def seal(unsealed: Any) -> list[Receipt]:
        for batch in unsealed:
            if batch not in sealed:
                sealed.append(batch)
        return [Receipt(sealed.index(batch) + 1, bytes(batch["root"])) for batch in unsealed]

    return seal


async def unsealed(admin: Admin) -> int:
    (count,) = await (await admin.execute("SELECT count(*) FROM audit_batches WHERE seal_number IS NULL")).fetchone() or (0,)
    return int(count)


async def test_batches_are_sealed_in_their_order_and_once(admin: Admin, sealer: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(receipts, "ASKED", 2)
    for _ in range(5):
        await add(admin)
        await batches.make(sealer)
    sealed: list[Any] = []
    assert await receipts.collect(sealer, sealing(sealed)) == 5
    assert await receipts.collect(sealer, sealing(sealed)) == 0
    assert all(earlier["number"] + 1 == later["number"] for earlier, later in pairwise(sealed))


async def test_batches_wait_for_who_seals_and_a_lost_answer_is_asked_for_again(admin: Admin, sealer: Pipeline) -> None:
    await add(admin)
    await batches.make(sealer)
    sealed: list[Any] = []

    async def lost(rows: Any) -> Any:
        await sealing(sealed)(rows)
        raise Killed

    with pytest.raises(Killed):
        await receipts.collect(sealer, lost)
    assert await unsealed(admin) == 1
    assert await receipts.collect(sealer, sealing(sealed)) == 1
    assert (len(sealed), await unsealed(admin)) == (1, 0)


@pytest.fixture
async def end(served: Served, admin: Admin) -> AsyncIterator[Callable[[], Any]]:
    """`await end()` is what the service answers about the end of the tenant's trail."""
    async with Database(served.runtime, size=2) as database:
        enter_as(served.name, database, origin="test", tenant_id=TENANT)
        context: Any = None
        yield lambda: AuditTrailService(served.name).CheckAuditEnd(Empty(), context)


async def sealed(admin: Admin, sealer: Pipeline, *, count: int = 1) -> list[str]:
    added = await add(admin, count=count)
    await batches.make(sealer)
    await receipts.collect(sealer, sealing([]))
    return added


async def past_guards(admin: Admin, statement: str, *values: Any) -> None:
    await admin.execute("SET session_replication_role TO replica")
    await admin.execute(statement.encode(), values)


async def test_what_waits_to_be_sealed_is_counted(admin: Admin, sealer: Pipeline, end: Any) -> None:
    await sealed(admin, sealer, count=3)
    found: CheckAuditEndResponse = await end()
    assert (found.HasField("flaw"), found.last_batch, found.unsealed_row_count) == (False, 1, 0)
    assert not found.HasField("oldest_unsealed_time")
    await add(admin, count=2)
    new = await end()
    await batches.make(sealer)
    made = await end()
    for found in (new, made):
        assert (found.HasField("flaw"), found.last_batch, found.unsealed_row_count) == (False, 1, 2)
        assert found.oldest_unsealed_time.seconds > 0


async def test_a_lost_snapshot_is_a_flaw_and_no_row_is_guessed_at(admin: Admin, sealer: Pipeline, end: Any) -> None:
    await sealed(admin, sealer)
    await admin.execute("DELETE FROM audit_progress")
    await add(admin)
    with pytest.raises(ProgressLostError):
        await batches.make(sealer)
    assert (await end()).flaw.kind == AuditFlawKind.AUDIT_FLAW_KIND_PROGRESS_MISSING


async def test_a_row_that_is_deleted_before_its_batch_is_sealed_is_missing(
    admin: Admin, sealer: Pipeline, end: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    added = await add(admin, count=3)
    await batches.make(sealer)
    await past_guards(admin, "DELETE FROM audit_log WHERE id = %s", added[1])
    flaw = (await end()).flaw
    assert (flaw.kind, flaw.row_id) == (AuditFlawKind.AUDIT_FLAW_KIND_ROW_MISSING, added[1])
    monkeypatch.setattr(ends, "_NAMED", ())
    assert (await end()).flaw.kind == AuditFlawKind.AUDIT_FLAW_KIND_ROWS_UNEQUAL


async def test_a_row_of_no_time_is_named_without_one(admin: Admin, sealer: Pipeline, end: Any) -> None:
    await sealed(admin, sealer)
    far = "ffffffff-ffff-7fff-bfff-ffffffffffff"
    await admin.execute(INSERT, [TENANT, [far]])
    await past_guards(admin, "UPDATE audit_log SET xid = '10' WHERE id = %s", far)
    flaw = (await end()).flaw
    assert (flaw.kind, flaw.row_id, flaw.HasField("time")) == (AuditFlawKind.AUDIT_FLAW_KIND_ROW_UNSEALED, far, False)


SLIPPED = """
    INSERT INTO audit_batches (tenant_id, number, batch_time, row_count, root, ids, leaves, seal_number)
    SELECT %s, %s, now(), 1, '', uuid_send(%s), '', %s
"""


@pytest.mark.parametrize(("number", "seal_number"), [(0, None), (0, -1), (7, -1)])
async def test_a_batch_that_the_sealer_would_not_ask_for_is_refused(admin: Admin, number: int, seal_number: int | None) -> None:
    with pytest.raises(CheckViolation):
        await admin.execute(SLIPPED, [TENANT, number, ids.new(), seal_number])


async def test_a_batch_outside_of_the_chain_vouches_for_no_row(admin: Admin, sealer: Pipeline, end: Any) -> None:
    await sealed(admin, sealer)
    (slipped,) = await add(admin)
    await past_guards(admin, "UPDATE audit_log SET xid = '10' WHERE id = %s", slipped)
    await admin.execute(SLIPPED, [TENANT, 1000, slipped, 0])
    assert (await end()).last_batch == 1000, "the chain has to hold it"
    await admin.execute("ALTER TABLE audit_batches DROP CONSTRAINT audit_batches_numbers")
    await admin.execute("UPDATE audit_batches SET number = 0, seal_number = -1 WHERE number = 1000")
    flaw = (await end()).flaw
    await admin.execute("TRUNCATE audit_batches")
    await admin.execute("ALTER TABLE audit_batches ADD CONSTRAINT audit_batches_numbers CHECK (number >= 1 AND seal_number >= 0)")
    assert (flaw.kind, flaw.row_id) == (AuditFlawKind.AUDIT_FLAW_KIND_ROW_UNSEALED, slipped)


@pytest.mark.parametrize("change", ["row_count = 1000000", "row_count = -1", "ids = ids || '\\x00'", "leaves = ''"])
async def test_a_batch_whose_pieces_do_not_fit_has_no_rows(served: Served, admin: Admin, sealer: Pipeline, end: Any, change: str) -> None:
    for _ in range(3):
        await sealed(admin, sealer)
    await admin.execute(f"UPDATE audit_batches SET {change} WHERE number = 2".encode())
    context: Any = None
    found = await AuditTrailService(served.name).CheckAuditBatches(CheckAuditBatchesRequest(first=1, last=3), context)
    assert [(batch.number, batch.row_count) for batch in found.batches] == [(1, 1), (2, 0), (3, 1)]
    assert not found.HasField("flaw")
