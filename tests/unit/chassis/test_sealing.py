"""Personal data in events: sealed under the key of its record, read by who may, and by nobody once the key is destroyed."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any

import psycopg
import pytest
from psycopg.errors import UniqueViolation

from chassis import contract, ids
from chassis.context import Caller, CallerKind, Request, enter
from chassis.database import Database, root_key, unit_of_work
from chassis.errors import Reason, Unavailable
from chassis.events.subject_keys import local
from chassis.sealing.keys import FORGOTTEN, FRESH, Memory, RootKey, SubjectKey
from chassis.sealing.opening import Incoming, Opener, Records
from chassis.vault import LocalMasterKey, Vault, VaultError
from kith.crm.v1.contacts_pb2 import Contact
from kith.crm.v1.events_pb2 import ContactCreated, ContactPurged, ContactUpdated
from tests.unit.chassis.servers import Served

NAME = "quetzal"
KIND = contract.event(ContactCreated).subject
ROOT = RootKey(secrets.token_bytes(32))

Admin = psycopg.AsyncConnection[Any]
Process = Callable[[], Awaitable[Database]]


@pytest.fixture
async def admin(crm: Served) -> AsyncIterator[Admin]:
    async with await psycopg.AsyncConnection.connect(crm.admin, autocommit=True) as connection:
        await connection.execute("TRUNCATE outbox, audit_log, subject_keys, root_key")
        yield connection


@pytest.fixture
async def process(admin: Admin, crm: Served) -> AsyncIterator[Process]:
    """`await process()` makes the database of one more process of the service, and enters a call in it."""
    opened: list[Database] = []

    async def make() -> Database:
        opened.append(await Database(crm.runtime, size=2, keys=Memory(ROOT)).__aenter__())
        call(opened[-1])
        return opened[-1]

    yield make
    for each in opened:
        await each.__aexit__()


TENANT = ids.new()


def call(database: Database, tenant_id: str = TENANT) -> None:
    caller = Caller(kind=CallerKind.USER, tenant_id=tenant_id, user_id=ids.new())
    enter(Request(request_id=ids.new(), database=database, caller=caller))


def created(key: str, version: int = 1, name: str = NAME) -> ContactCreated:
    return ContactCreated(contact=Contact(id=key, etag=f'"{version}"', given_name=name, source="fair", emails=[{"address": name}]))


async def publish(*events: ContactCreated | ContactUpdated | ContactPurged) -> None:
    async with unit_of_work() as work:
        for event in events:
            work.publish(event)


async def fail_behind(event: ContactCreated) -> None:
    async with unit_of_work() as work:
        work.publish(event)
        await work.flush()
        raise ZeroDivisionError


async def said(admin: Admin, key: str) -> list[ContactCreated]:
    """Return what the outbox says of a record, as it stands there."""
    rows = await (await admin.execute("SELECT payload FROM outbox WHERE key = %s ORDER BY seq", [key])).fetchall()
    return [ContactCreated.FromString(payload) for (payload,) in rows]


async def read(event: ContactCreated, opener: Opener | None = None, **outside: str) -> ContactCreated:
    """Open a copy of an event, whose outside is right unless it is said otherwise."""
    copy = ContactCreated()
    copy.CopyFrom(event)
    envelope = {"kind": KIND, "tenant_id": TENANT, "subject": event.contact.id} | outside
    await (opener or local()).open(Incoming(**envelope, message=copy))
    return copy


async def keys(admin: Admin) -> int:
    row = await (await admin.execute("SELECT count(*) FROM subject_keys")).fetchone()
    return int(row[0]) if row else 0


async def test_what_is_personal_stands_sealed_in_the_outbox_and_is_read_with_the_key(admin: Admin, process: Process) -> None:
    await process()
    key = ids.new()
    await publish(created(key))
    (sealed,) = await said(admin, key)
    assert NAME.encode() not in sealed.SerializeToString()
    assert (sealed.contact.id, sealed.contact.source, sealed.contact.given_name) == (key, "fair", "")
    assert await read(sealed) == created(key)


async def test_the_events_of_a_record_share_one_key_in_one_process_and_in_others(admin: Admin, process: Process) -> None:
    key = ids.new()
    await process()
    await publish(created(key), created(key, 2))
    await publish(created(key, 3))
    await process()
    await publish(created(key, 4))
    assert await keys(admin) == 1
    assert [(await read(each)).contact.given_name for each in await said(admin, key)] == [NAME] * 4


async def test_many_records_get_their_keys_with_one_statement(admin: Admin, process: Process) -> None:
    await process()
    records = [ids.new() for _ in range(700)]
    await publish(*(created(key) for key in records))
    assert await keys(admin) == 700
    for key in records[:3]:
        assert (await read((await said(admin, key))[0])).contact.given_name == NAME


async def test_a_record_from_before_there_were_keys_gets_one_with_its_next_event(admin: Admin, process: Process) -> None:
    key = ids.new()
    one, two = await process(), await process()

    async def write(database: Database, version: int) -> None:
        call(database)
        await publish(created(key, version))

    await asyncio.gather(write(one, 7), write(two, 8))
    assert await keys(admin) == 1
    assert [(await read(each)).contact.given_name for each in await said(admin, key)] == [NAME] * 2


async def test_a_key_is_given_away_from_memory_for_a_moment_and_is_looked_for_then(
    admin: Admin, process: Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 1000.0
    monkeypatch.setattr("chassis.sealing.keys.monotonic", lambda: now)
    await process()
    key = ids.new()
    await publish(created(key))
    (sealed,) = await said(admin, key)
    await admin.execute("DELETE FROM subject_keys")  # as another process would destroy it
    assert (await read(sealed)).contact.given_name == NAME
    now += FRESH
    assert (await read(sealed)).contact.given_name == ""


async def test_a_process_that_destroyed_a_key_gives_it_to_nobody(admin: Admin, process: Process) -> None:
    await process()
    key, other = ids.new(), ids.new()
    await publish(created(key), created(other))
    async with unit_of_work() as work:
        await work.forget(key)
    events = [(await said(admin, each))[0] for each in (key, other)]
    assert [(await read(each)).contact.given_name for each in events] == ["", NAME]


def test_those_who_asked_forget_so_much_sooner_that_no_key_outlives_its_destruction_by_more_than_is_said() -> None:
    async def ask(records: Records) -> Mapping[tuple[str, str], bytes]:
        raise AssertionError

    assert Opener(ask)._keys.ttl + FRESH == FORGOTTEN


async def test_an_event_without_anything_personal_needs_no_key(admin: Admin, crm: Served) -> None:
    async with Database(crm.runtime, size=1) as database:
        call(database)
        key = ids.new()
        await publish(ContactPurged(contact=Contact(id=key, etag='"3"')))
        with pytest.raises(LookupError, match="no key"):
            await publish(created(key))
    assert len(await said(admin, key)) == 1
    assert await keys(admin) == 0


async def test_what_was_rolled_back_leaves_no_key_behind(admin: Admin, process: Process) -> None:
    await process()
    key = ids.new()
    async with unit_of_work() as work:
        work.publish(created(key))
        await work.flush()
        work.keep_nothing()
    with pytest.raises(ZeroDivisionError):
        await fail_behind(created(key))
    assert await keys(admin) == 0
    await publish(created(key))
    assert (await read((await said(admin, key))[0])).contact.given_name == NAME


async def test_a_new_record_that_has_a_key_already_fails_once_and_then_uses_it(admin: Admin, process: Process) -> None:
    key = ids.new()
    await process()
    await publish(created(key))
    await process()
    with pytest.raises(UniqueViolation):
        await publish(created(key))
    await publish(created(key))
    assert [(await read(each)).contact.given_name for each in await said(admin, key)] == [NAME] * 2


async def test_what_was_said_of_a_record_is_gone_with_its_key_and_what_is_said_later_is_not(admin: Admin, process: Process) -> None:
    await process()
    key, other = ids.new(), ids.new()
    await publish(created(key), created(other))
    async with unit_of_work() as work:
        work.publish(created(key, 2))
        await work.forget(key)
        work.publish(created(key, 3, "later"))
    await publish(created(key, 4, "later"))
    names = [(await read(each)).contact.given_name for each in await said(admin, key)]
    assert names == ["", "", "later", "later"]
    assert {(await read(each)).contact.source for each in await said(admin, key)} == {"fair"}
    assert (await read((await said(admin, other))[0])).contact.given_name == NAME


async def test_a_key_stays_when_its_destruction_is_rolled_back(admin: Admin, process: Process) -> None:
    await process()
    key = ids.new()
    await publish(created(key))
    async with unit_of_work() as work:
        await work.forget(key)
        work.keep_nothing()
    await publish(created(key, 2))
    assert [(await read(each)).contact.given_name for each in await said(admin, key)] == [NAME] * 2


async def test_changed_bytes_and_another_place_are_refused(admin: Admin, process: Process) -> None:
    await process()
    key, other = ids.new(), ids.new()
    await publish(created(key), created(other))
    (sealed,), (foreign,) = await said(admin, key), await said(admin, other)
    for place in (8, 20, -1):
        changed = created(key)
        flipped = bytearray(sealed.sealed)
        flipped[place] ^= 1
        changed.sealed = bytes(flipped)
        with pytest.raises(VaultError):
            await read(changed)
    with pytest.raises(VaultError):
        await read(sealed, kind="crm.contact.updated.v1")
    moved = created(key)
    moved.sealed = foreign.sealed
    assert (await read(moved)).contact.emails[0].address == NAME  # its key is not this record's, so nothing is added to what was clear


async def test_another_tenant_has_no_key_to_it(admin: Admin, process: Process) -> None:
    database = await process()
    key = ids.new()
    await publish(created(key))
    (sealed,) = await said(admin, key)
    stranger = ids.new()
    call(database, stranger)
    assert (await read(sealed, tenant_id=stranger)).contact.given_name == ""


async def test_a_key_that_was_kept_for_another_record_is_refused(admin: Admin, process: Process) -> None:
    await process()
    key, other = ids.new(), ids.new()
    await publish(created(key), created(other))
    await admin.execute("DELETE FROM subject_keys WHERE subject = %s", [key])
    await admin.execute("UPDATE subject_keys SET subject = %s WHERE subject = %s", [key, other])
    await process()  # one that has to look
    with pytest.raises(VaultError):
        await read((await said(admin, key))[0])


def sealed_by(key: SubjectKey, subject: str) -> ContactCreated:
    label = f"event|{KIND}|{TENANT}|{subject}".encode()
    personal = ContactCreated(contact=Contact(given_name=NAME)).SerializeToString()
    return ContactCreated(contact=Contact(id=subject), sealed=key.seal(personal, label))


async def test_many_events_take_one_question_and_none_again_be_their_keys_there_or_not() -> None:
    known = {ids.new(): SubjectKey.new() for _ in range(3)}
    gone = ids.new()
    questions: list[Records] = []

    async def ask(records: Records) -> Mapping[tuple[str, str], bytes]:
        questions.append(records)
        return {(TENANT, subject): known[subject].secret for subject in records[TENANT] if subject in known}

    opener = Opener(ask)
    events = [sealed_by(known.get(subject, SubjectKey.new()), subject) for subject in [*known, gone] * 2]
    events[-1].sealed = events[3].sealed
    for _ in range(2):
        await opener.prepare(Incoming(KIND, TENANT, event.contact.id, event) for event in events)
        names = [(await read(event, opener)).contact.given_name for event in events]
    assert names == [NAME, NAME, NAME, ""] * 2
    assert questions == [{TENANT: {*known, gone}}]


async def test_when_nobody_answers_an_event_stays_closed() -> None:
    async def ask(records: Records) -> Mapping[tuple[str, str], bytes]:
        raise Unavailable(Reason.UNAVAILABLE, "away")

    event = sealed_by(SubjectKey.new(), ids.new())
    with pytest.raises(Unavailable):
        await Opener(ask).open(Incoming(KIND, TENANT, event.contact.id, event))
    assert event.sealed


async def test_processes_that_start_at_once_agree_on_the_root_key_and_so_does_the_next_one(admin: Admin, crm: Served) -> None:
    old, new = secrets.token_bytes(32), secrets.token_bytes(32)
    roots = await asyncio.gather(*(root_key.load(crm.system, Vault(LocalMasterKey(old)), "crm") for _ in range(8)))
    roots.append(await root_key.load(crm.system, Vault(LocalMasterKey(new, old)), "crm"))
    roots.append(await root_key.load(crm.system, Vault(LocalMasterKey(new)), "crm"))  # it was re-wrapped
    key = SubjectKey.new()
    wrapped = roots[0].wrap(key, TENANT, "subject")
    assert {root.unwrap(wrapped, TENANT, "subject").secret for root in roots} == {key.secret}
    assert len({root.derive("idempotency") for root in roots}) == 1
    with pytest.raises(VaultError):
        await root_key.load(crm.system, Vault(LocalMasterKey(new)), "billing")
    with pytest.raises(VaultError):
        await root_key.load(crm.system, Vault(LocalMasterKey(old)), "crm")


def test_keys_of_several_purposes_and_of_several_roots_are_several() -> None:
    secret = secrets.token_bytes(32)
    derived = [RootKey(secret).derive("idempotency"), RootKey(secret).derive("another"), ROOT.derive("idempotency"), secret]
    assert len(set(derived)) == len(derived)


def test_a_key_is_not_shown() -> None:
    key = SubjectKey.new()
    assert all(shown not in f"{key!r} {key}" for shown in (key.secret.hex(), repr(key.secret)))
