"""Records of a noun that adds nothing of its own: kept, changed and removed, each for itself, and told of."""

import secrets
from collections.abc import AsyncIterator, Iterator, Sequence

import psycopg
import pytest
from google.protobuf.field_mask_pb2 import FieldMask
from sqlalchemy import MetaData

from chassis import ids, texts, turns
from chassis.context import Caller, CallerKind, Request, enter
from chassis.database import Database, UnitOfWork, tenancy, tenant_table, unit_of_work
from chassis.database.columns import resource_columns, word
from chassis.errors import NotFound, Refusal
from chassis.mapping import Mapping
from chassis.records import BatchStore, Draft, Events, Records
from chassis.sealing.keys import Memory, RootKey
from kith.crm.v1.companies_pb2 import Company
from kith.crm.v1.events_pb2 import CompanyCreated, CompanyDeleted, CompanyUpdated
from tests.unit.chassis.servers import Served, migrate

COLUMNS = ("name", "domain", "sort_name")
TABLE = tenant_table("firms", MetaData(), *resource_columns(), *map(word, COLUMNS))


def tidy(_: Company, after: Company) -> None:
    after.name = after.name.strip()


class Firms(Records[Company]):
    def __init__(self) -> None:
        store = BatchStore(Mapping(Company, TABLE), TABLE, {"sort_name": lambda firm: texts.fold(firm.name)})
        super().__init__("company", Company, store, Events(created=CompanyCreated, updated=CompanyUpdated, deleted=CompanyDeleted))

    async def settle(self, work: UnitOfWork, drafts: Sequence[Draft[Company]]) -> None:
        for draft in drafts:
            draft.settle(tidy, lambda after: texts.check("name", after.name, 9, least=1))


FIRMS = Firms()


@pytest.fixture(scope="module", autouse=True)
def table(crm: Served) -> Iterator[None]:
    migrate(crm, lambda op: tenancy.create(op, "firms", *resource_columns(), *map(word, COLUMNS)))
    yield
    migrate(crm, lambda op: op.drop_table("firms"))


@pytest.fixture(autouse=True)
async def call(crm: Served) -> AsyncIterator[None]:
    """A call of a member of an organisation that has nothing yet."""
    async with await psycopg.AsyncConnection.connect(crm.admin, autocommit=True) as admin:
        await admin.execute("TRUNCATE outbox, audit_log, subject_keys, firms")
    async with Database(crm.runtime, size=2, keys=Memory(RootKey(secrets.token_bytes(32)))) as database:
        caller = Caller(kind=CallerKind.USER, tenant_id=ids.new(), user_id=ids.new())
        enter(Request(request_id=ids.new(), database=database, caller=caller))
        yield


async def made(*names: str) -> list[Company]:
    async with unit_of_work() as work:
        return [await FIRMS.create(work, Company(name=name, phones=[{"number": "1"}])) for name in names]


async def told(crm: Served) -> list[tuple[str, int]]:
    """Return what was told of records, and the version that each event carries."""
    async with await psycopg.AsyncConnection.connect(crm.admin) as admin:
        rows = await (await admin.execute("SELECT split_part(subject, '.', 4), version FROM outbox ORDER BY seq")).fetchall()
    return [(what, version) for what, version in rows]


async def keys_told(crm: Served) -> list[str]:
    """Return which records were told of."""
    async with await psycopg.AsyncConnection.connect(crm.admin) as admin:
        return [key for (key,) in await (await admin.execute("SELECT key FROM outbox ORDER BY seq")).fetchall()]


async def kept(crm: Served, table: str) -> int:
    async with await psycopg.AsyncConnection.connect(crm.admin) as admin:
        row = await (await admin.execute(f"SELECT count(*) FROM {table}".encode())).fetchone()
    return int(row[0]) if row else 0


def reasons(drafts: Sequence[Draft[Company]]) -> list[str]:
    return [str(draft.refusal.reason) if draft.refusal else "" for draft in drafts]


async def test_a_record_is_read_as_it_was_kept(crm: Served) -> None:
    (firm,) = await made(" Ängström ")
    assert (firm.name, firm.etag, firm.create_time) == ("Ängström", '"1"', firm.update_time)
    async with unit_of_work() as work:
        found = await FIRMS.show(work, firm.id)
    assert (found.id, found.name, found.etag) == (firm.id, firm.name, firm.etag)
    assert await kept(crm, "firms WHERE sort_name = 'angstrom'") == 1


async def test_a_batch_changes_each_record_for_itself_and_tells_of_what_changed(crm: Served) -> None:
    one, two, three, four = await made("One", "Two", "Three", "Four")
    mask = FieldMask(paths=["name"])
    edits = [
        (Company(id=one.id, name="First"), mask),
        (Company(id=ids.new(), name="Nobody"), mask),
        (Company(id=two.id, etag='"7"', name="Second"), mask),
        (Company(id=three.id, name=" "), mask),
        (Company(id=four.id, name="Four"), mask),
        (Company(id="none", name="No id"), mask),
    ]
    async with unit_of_work() as work:
        drafts = await FIRMS.update(work, edits)
    assert reasons(drafts) == ["", "NOT_FOUND", "ETAG_MISMATCH", "FIELD_INVALID", "", "NOT_FOUND"]
    assert [draft.kept.etag if draft.kept else "" for draft in drafts] == ['"2"', "", "", "", '"1"', ""]
    assert await told(crm) == [("created", 1)] * 4 + [("updated", 2)]
    async with unit_of_work() as work:
        found, missing = await FIRMS.get_many(work, [four.id, "none", one.id, four.id])
    assert [(each.name, each.etag) for each in found] == [("Four", '"1"'), ("First", '"2"')]
    assert missing == ["none"]


async def test_several_records_are_changed_at_once(crm: Served) -> None:
    firms = await made("One", "Two")
    async with unit_of_work() as work:
        await FIRMS.update(work, [(Company(id=each.id, domain=f"{each.name}.example.com"), FieldMask()) for each in firms])
    async with unit_of_work() as work:
        found, _ = await FIRMS.get_many(work, [each.id for each in firms])
    assert [(each.name, each.domain, each.etag) for each in found] == [("One", "One.example.com", '"2"'), ("Two", "Two.example.com", '"2"')]
    assert await told(crm) == [("created", 1), ("created", 1), ("updated", 2), ("updated", 2)]


async def test_more_records_than_one_statement_takes_are_kept_and_told_of_once_in_their_order(crm: Served) -> None:
    count = 2 * turns.PART + 1
    async with unit_of_work() as work:
        drafts = [FIRMS.new(work, Company(name=f"F{number}")) for number in range(count)]
        await FIRMS.write_new(work, drafts)
    mask = FieldMask(paths=["domain"])
    async with unit_of_work() as work:
        changed = await FIRMS.update(work, [(Company(id=draft.id, domain="example.com"), mask) for draft in drafts])
    assert [(draft.id, draft.after.etag) for draft in changed] == [(draft.id, '"2"') for draft in drafts]
    async with unit_of_work() as work:
        found, missing = await FIRMS.get_many(work, [draft.id for draft in drafts])
    assert ([each.domain for each in found], missing) == (["example.com"] * count, [])
    assert await keys_told(crm) == [draft.id for draft in drafts] * 2
    async with unit_of_work() as work:
        await FIRMS.delete(work, [(draft.id, "") for draft in drafts])
    assert await told(crm) == [("created", 1)] * count + [("updated", 2)] * count + [("deleted", 3)] * count
    assert await kept(crm, "firms") == 0
    assert await kept(crm, "audit_log") == 3 * count


async def test_what_is_removed_is_gone_with_the_key_to_what_was_told_of_it(crm: Served) -> None:
    one, two = await made("One", "Two")
    async with unit_of_work() as work:
        drafts = await FIRMS.delete(work, [(one.id, one.etag), (two.id, '"3"'), (ids.new(), "")])
    assert reasons(drafts) == ["", "ETAG_MISMATCH", "NOT_FOUND"]
    assert await told(crm) == [("created", 1), ("created", 1), ("deleted", 2)]
    assert await kept(crm, f"subject_keys WHERE subject = '{one.id}'") == 0
    assert await kept(crm, "subject_keys") == await kept(crm, "firms") == 1
    async with unit_of_work() as work:
        with pytest.raises(NotFound):
            await FIRMS.show(work, one.id)


async def test_a_record_that_breaks_a_rule_is_not_kept(crm: Served) -> None:
    with pytest.raises(Refusal):
        await made("much too long")
    assert await kept(crm, "firms") == 0
    assert await told(crm) == []
