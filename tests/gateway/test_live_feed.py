"""The feed opens what is sealed before anybody sees it: in order, with few questions, and with a way out when nobody answers."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from time import monotonic
from typing import Any

import orjson
import pytest
from nats.aio.client import Client
from nats.aio.msg import Msg

from chassis import contract, ids
from chassis.errors import Reason, Unavailable
from chassis.events.broker import Broker
from chassis.events.envelope import Envelope
from chassis.sealing.keys import SubjectKey, label
from chassis.sealing.opening import Opener, Records
from gateway.contract import Contract
from gateway.live import following
from gateway.live.changes import Change, kinds
from gateway.live.feed import PACE, Feed
from gateway.live.reader import MAX_WAITING, Admission, Reader
from gateway.live.seal import Seal
from kith.crm.v1.contacts_pb2 import Contact
from kith.crm.v1.events_pb2 import ContactCreated
from kith.options.v1.permissions_pb2 import PERMISSION_CRM_CONTACTS_READ

KIND = contract.event(ContactCreated).subject
PLACES = range(1, 4 * MAX_WAITING + 1)
KINDS = kinds(Contract(contract.image()))
SEAL = Seal(b"secret")


class Service:
    """The keys of a service, which it gives away when it is there."""

    def __init__(self) -> None:
        self.keys: dict[str, SubjectKey] = {}
        self.asked: list[dict[str, int]] = []
        self.away = False
        self.meanwhile: Callable[[], None] = lambda: None
        self.answers = asyncio.Event()
        self.answers.set()

    async def ask(self, records: Records) -> Mapping[tuple[str, str], bytes]:
        self.asked.append({tenant_id: len(subjects) for tenant_id, subjects in records.items()})
        await asyncio.sleep(0)
        await self.answers.wait()
        self.meanwhile()
        if self.away:
            raise Unavailable(Reason.UNAVAILABLE, "away")
        wanted = [(tenant_id, subject) for tenant_id, subjects in records.items() for subject in subjects]
        return {(tenant_id, subject): self.keys[subject].secret for tenant_id, subject in wanted if subject in self.keys}

    def created(self, place: int, tenant_id: str) -> Msg:
        """Return an event as the stream gives it, of a person who is named after its place."""
        subject = ids.new()
        key = self.keys[subject] = SubjectKey.new()
        personal = ContactCreated(contact=Contact(given_name=str(place))).SerializeToString()
        sealed = key.seal(personal, label(kind=KIND, tenant_id=tenant_id, subject=subject))
        envelope = Envelope(
            id=ids.new(), type=KIND, source="crm", time="2026-01-01T00:00:00.000Z", tenant_id=tenant_id, key=subject, version=1
        )
        return Msg(
            Client(),
            subject=f"kith.{KIND}.{tenant_id}",
            reply=f"$JS.ACK.KITH_CRM.c.1.{place}.{place}.1795251665736017691.0",
            data=ContactCreated(contact=Contact(id=subject), sealed=sealed).SerializeToString(),
            headers=envelope.headers(),
        )


@pytest.fixture
def service() -> Service:
    return Service()


@pytest.fixture
def feed(service: Service, monkeypatch: pytest.MonkeyPatch) -> Feed:
    """Return a feed that hears every organisation already."""
    monkeypatch.setattr(following, "MOST", -1)
    return Feed(Broker("nats://nowhere", name="edge"), KINDS, {"crm": Opener(service.ask)}, SEAL)


def admission(tenant_id: str) -> Admission:
    rights = 1 << PERMISSION_CRM_CONTACTS_READ
    return Admission(tenant_id=tenant_id, user_id="u", session_id="s", permissions=rights, expires=2**40)


def reader_of(feed: Feed, tenant_id: str, place: int = 0) -> Reader:
    return feed.add(admission(tenant_id), {"crm": place})


async def seen(reader: Reader) -> list[Any]:
    """Return what waits for a reader: names of people, or the type of what is no change."""
    return shown(await reader.take())


def shown(changes: Sequence[Change]) -> list[Any]:
    said = [orjson.loads(change.json) for change in changes]
    return [each["resource"].get("givenName") if "resource" in each else each["type"] for each in said]


async def test_events_of_many_organisations_are_opened_with_one_question_and_shown_in_order(feed: Feed, service: Service) -> None:
    one, two, unread = (ids.new() for _ in range(3))
    readers = [reader_of(feed, one), reader_of(feed, two)]
    await feed._hear("crm", [service.created(place, (one, two, unread)[place % 3]) for place in range(1, 31)])
    assert [await seen(reader) for reader in readers] == [[str(place) for place in range(1, 31) if place % 3 == of] for of in (0, 1)]
    assert service.asked == [{one: 10, two: 10}]
    assert feed.positions == {"crm": 30}


async def test_many_events_at_once_are_shown_in_order_and_overrun_nobody_who_takes_them(feed: Feed, service: Service) -> None:
    tenants = [ids.new() for _ in range(2)]
    readers = [reader_of(feed, tenant_id) for tenant_id in tenants]
    shown: list[list[str]] = [[], []]

    async def take(place: int) -> None:
        while len(shown[place]) < 2 * MAX_WAITING:
            shown[place] += await seen(readers[place])

    taking = asyncio.gather(*map(take, range(2)))
    await feed._hear("crm", [service.created(place, tenants[place % 2]) for place in PLACES])
    async with asyncio.timeout(60):
        await taking
    assert shown == [[str(place) for place in PLACES if place % 2 == of] for of in (0, 1)]


async def test_what_comes_while_a_batch_is_shown_waits_a_little_to_share_a_question(feed: Feed, service: Service) -> None:
    tenant_id = ids.new()
    reader_of(feed, tenant_id)
    began = monotonic()
    await feed._hear("crm", [service.created(1, tenant_id)])
    assert monotonic() - began >= PACE


async def test_a_reader_that_comes_while_events_are_opened_sees_each_once(feed: Feed, service: Service) -> None:
    first, second = ids.new(), ids.new()
    early, late = reader_of(feed, first), []
    service.meanwhile = lambda: late.append(reader_of(feed, second)) if not late else None
    await feed._hear("crm", [service.created(1, second), service.created(2, first), service.created(3, second)])
    assert await seen(early) == ["2"]
    assert await seen(late[0]) == ["1", "3"]


async def test_where_a_reader_began_stays_though_events_come_before_it_is_sent_anything(feed: Feed, service: Service) -> None:
    tenant_id = ids.new()
    reader = reader_of(feed, tenant_id, 7)
    await feed._hear("crm", [service.created(8, tenant_id)])
    assert (reader.since, await seen(reader)) == ({"crm": 7}, ["8"])


async def test_a_reader_that_comes_from_a_process_that_was_ahead_sees_nothing_again(feed: Feed, service: Service) -> None:
    """Another process gave it an id at 150; this one has heard 148, and was told that the stream ends at 150."""
    tenant_id = ids.new()
    early = reader_of(feed, tenant_id, 148)
    late = reader_of(feed, tenant_id, 150)
    assert (feed.positions, late.since) == ({"crm": 148}, {"crm": 150})
    await feed._hear("crm", [service.created(place, tenant_id) for place in (149, 150, 151)])
    assert [await seen(reader) for reader in (early, late)] == [["149", "150", "151"], ["151"]]


async def test_ids_never_go_back_behind_what_a_reader_has_seen(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """They name a place in every stream: this process may be behind in another one than the event's."""
    monkeypatch.setattr(following, "MOST", -1)
    feed = Feed(Broker("nats://nowhere", name="edge"), KINDS, {name: Opener(service.ask) for name in ("billing", "crm")}, SEAL)
    tenant_id = ids.new()
    readers = [feed.add(admission(tenant_id), {"billing": place, "crm": 0}) for place in (70, 80)]
    await feed._hear("crm", [service.created(1, tenant_id)])
    service.away = True
    await feed._hear("crm", [service.created(2, tenant_id)])
    found = [[SEAL.open(change.id, "event", tenant_id) for change in await reader.take()] for reader in readers]
    assert found == [[{"billing": behind, "crm": place} for place in (1, 2)] for behind in (70, 80)]


async def test_while_nobody_answers_readers_are_told_to_read_again_and_see_what_comes_after(feed: Feed, service: Service) -> None:
    tenant_id = ids.new()
    reader, stranger = reader_of(feed, tenant_id), reader_of(feed, ids.new())
    service.away = True
    await feed._hear("crm", [service.created(place, tenant_id) for place in (1, 2)])
    service.away = False
    await feed._hear("crm", [service.created(3, tenant_id)])
    changes = await reader.take()
    assert [orjson.loads(change.json)["type"] for change in changes] == ["resync", KIND]
    assert [SEAL.open(change.id, "event", tenant_id) for change in changes] == [{"crm": 2}, {"crm": 3}]
    assert not stranger._waiting


async def test_what_was_changed_on_its_way_is_left_out_and_what_is_gone_is_empty(feed: Feed, service: Service) -> None:
    tenant_id = ids.new()
    reader = reader_of(feed, tenant_id)
    changed, gone, good = (service.created(place, tenant_id) for place in (1, 2, 3))
    changed.data = changed.data[:-1] + bytes([changed.data[-1] ^ 1])
    del service.keys[ContactCreated.FromString(gone.data).contact.id]
    await feed._hear("crm", [changed, gone, good])
    assert await seen(reader) == ["", "3"]
    assert feed.positions == {"crm": 3}
