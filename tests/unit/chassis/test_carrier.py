"""Calls that are carried: each gets its own answer or failure, just as if it had come alone, and nothing is lost when a stream ends."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, ClassVar

import grpc
import pytest
from google.rpc import error_details_pb2, status_pb2
from grpc import aio
from hypothesis import given, settings
from hypothesis import strategies as st

from chassis import context, server
from chassis.background import task
from chassis.carrier import lanes as keeping
from chassis.carrier import way as ways
from chassis.carrier.lane import Lane
from chassis.carrier.lanes import Lanes
from chassis.carrier.parcels import PARCEL_BYTES, parcels
from chassis.carrier.way import Way
from chassis.errors import NotFound, Reason
from chassis.interceptors.chain import Call, Chain, Next
from chassis.interceptors.deadline import Deadline
from chassis.interceptors.errors import Errors
from chassis.interceptors.idempotency import Idempotency
from chassis.interceptors.policy import Policy
from chassis.interceptors.telemetry import Telemetry
from kith.common.v1.carrier_pb2 import CarriedCall
from kith.crm.v1.contacts_pb2 import Contact, GetContactRequest
from kith.crm.v1.contacts_pb2_grpc import ContactServiceServicer
from tests.unit.chassis.moving import eventually
from tests.unit.chassis.servers import free_port

PATH = "/kith.crm.v1.ContactService/GetContact"
PATIENCE = 60.0
FOR_EVER = 600.0


class Named:
    """Stands where identity stands: the caller is whom the metadata names."""

    name: ClassVar[str] = "identity"

    async def __call__(self, call: Call, proceed: Next) -> Any:
        call.request.caller = context.Caller(kind=context.CallerKind.USER, tenant_id=call.metadata.get("who", ""), permissions=-1)
        return await proceed(call)


class Contacts(ContactServiceServicer):
    """Answers GetContact with its caller's tenant and the id, after whatever a test does meanwhile."""

    def __init__(self) -> None:
        self.begun: list[str] = []
        self.ended: list[str] = []
        self.does: Callable[[str], Any] = lambda _: asyncio.sleep(0)

    async def GetContact(self, request: GetContactRequest, context_: Any) -> Contact:
        self.begun.append(request.id)
        try:
            await self.does(request.id)
            return Contact(id=request.id, given_name=context.current().caller.tenant_id)
        finally:
            self.ended.append(request.id)


class Served:
    """One service and the way to its RPC."""

    def __init__(self, contacts: Contacts, channel: aio.Channel, lanes: Lanes) -> None:
        self.contacts = contacts
        self.lanes = lanes
        self._alone = channel.unary_unary(PATH)

    async def get(self, number: str, *, who: str = "", seconds: float = PATIENCE, size: int = 0, repeatable: bool = True) -> Contact:
        way = Way(PATH, self._alone, self.lanes, repeatable=repeatable)
        message = GetContactRequest(id=number + " " * size).SerializeToString()
        answer = await way(message, [("who", who)] if who else [], seconds=seconds)
        return Contact.FromString(answer.message)

    async def lane(self) -> Lane:
        """Return the lane as soon as there is one."""
        await eventually(lambda: self.lanes.lane is not None, seconds=PATIENCE)
        found = self.lanes.lane
        assert found is not None
        return found


@asynccontextmanager
async def serving(contacts: Contacts, address: str, *, calls: int = 100) -> AsyncIterator[server.Server]:
    stages = [Telemetry(), Errors(), Deadline(FOR_EVER), Named(), Policy(), Idempotency(b"k" * 32)]
    async with server.Server([contacts], Chain(stages, None), address=address, concurrent_calls=calls, grace=0) as running:
        yield running


@asynccontextmanager
async def called(contacts: Contacts, address: str) -> AsyncIterator[Served]:
    async with aio.insecure_channel(address, options=[("grpc.max_reconnect_backoff_ms", 100)]) as channel:
        lanes = Lanes(channel)
        async with task(lanes.run(lambda: "token"), name="lanes"):
            yield Served(contacts, channel, lanes)


@pytest.fixture
async def served() -> AsyncIterator[Served]:
    contacts, address = Contacts(), f"127.0.0.1:{free_port()}"
    async with serving(contacts, address), called(contacts, address) as found:
        await found.lane()
        yield found


async def test_calls_side_by_side_each_get_their_own_answer_for_their_own_caller(served: Served) -> None:
    served.contacts.does = lambda number: asyncio.sleep(int(number) % 7 / 1000)
    answers = await asyncio.gather(*(served.get(str(number), who=f"tenant {number}") for number in range(90)))
    assert [(each.id, each.given_name) for each in answers] == [(str(number), f"tenant {number}") for number in range(90)]


async def test_a_failure_arrives_with_its_details_and_harms_no_other_call(served: Served) -> None:
    async def does(number: str) -> None:
        if number == "gone":
            raise NotFound(Reason.NOT_FOUND, "no such contact", resource="contact")
        if number == "broken":
            raise ValueError("planted-secret")

    served.contacts.does = does
    gone, broken, there = await asyncio.gather(*map(served.get, ("gone", "broken", "there")), return_exceptions=True)
    assert isinstance(gone, aio.AioRpcError)
    assert isinstance(broken, aio.AioRpcError)
    assert isinstance(there, Contact)
    assert (gone.code(), broken.code()) == (grpc.StatusCode.NOT_FOUND, grpc.StatusCode.INTERNAL)
    status = status_pb2.Status.FromString(dict(gone.trailing_metadata())["grpc-status-details-bin"])
    info = error_details_pb2.ErrorInfo()
    assert status.details[0].Unpack(info)
    assert (status.message, info.reason, dict(info.metadata)) == ("no such contact", "NOT_FOUND", {"resource": "contact"})
    assert "planted" not in str(dict(broken.trailing_metadata()))


async def test_what_is_no_message_and_what_is_not_served_are_failures_of_that_call_alone(served: Served) -> None:
    lane = await served.lane()
    for path, message, code in (
        (PATH, b"\xff\xff", grpc.StatusCode.INTERNAL),
        ("/kith.crm.v1.ContactService/Nothing", b"", grpc.StatusCode.UNIMPLEMENTED),
        ("/kith.crm.v1.ContactService/ExportContacts", b"", grpc.StatusCode.UNIMPLEMENTED),
    ):
        with pytest.raises(aio.AioRpcError) as failed:
            await lane.call(path, message, [], seconds=PATIENCE, wants_json=False)
        assert failed.value.code() is code
    assert (await served.get("there")).id == "there"


async def test_a_call_that_nobody_waits_for_is_cancelled(served: Served) -> None:
    served.contacts.does = lambda _: asyncio.sleep(FOR_EVER)
    waiting = asyncio.create_task(served.get("long"))
    await eventually(lambda: served.contacts.begun == ["long"], seconds=PATIENCE)
    waiting.cancel()
    await eventually(lambda: served.contacts.ended == ["long"], seconds=PATIENCE)


async def test_a_call_ends_at_its_deadline_on_both_sides(served: Served) -> None:
    served.contacts.does = lambda _: asyncio.sleep(FOR_EVER)
    with pytest.raises(aio.AioRpcError) as late:
        await served.get("late", seconds=0.05)
    assert late.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    await eventually(lambda: served.contacts.ended == ["late"], seconds=PATIENCE)


async def test_more_calls_than_a_process_takes_are_refused() -> None:
    contacts, address = Contacts(), f"127.0.0.1:{free_port()}"
    release = asyncio.Event()
    contacts.does = lambda _: release.wait()
    async with serving(contacts, address, calls=3), called(contacts, address) as served:
        await served.lane()
        taken = [asyncio.create_task(served.get(str(number))) for number in range(3)]
        await eventually(lambda: len(contacts.begun) == 3, seconds=PATIENCE)
        with pytest.raises(aio.AioRpcError) as refused:
            await served.get("one more")
        release.set()
        assert [each.id for each in await asyncio.gather(*taken)] == ["0", "1", "2"]
    assert refused.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


async def test_a_service_that_leaves_answers_what_it_has_and_is_called_elsewhere() -> None:
    contacts, address = Contacts(), f"127.0.0.1:{free_port()}"
    release = asyncio.Event()
    contacts.does = lambda number: release.wait() if number == "slow" else asyncio.sleep(0)
    async with serving(contacts, address) as leaving, called(contacts, address) as served:
        lane = await served.lane()
        slow = asyncio.create_task(served.get("slow", repeatable=False))
        await eventually(lambda: contacts.begun == ["slow"], seconds=PATIENCE)
        await leaving.refuse()
        await asyncio.wait_for(lane.over.wait(), PATIENCE)
        assert served.lanes.lane is None
        assert (await served.get("next")).id == "next"
        release.set()
        assert (await slow).id == "slow"


@pytest.mark.parametrize("repeatable", [True, False])
async def test_a_service_that_dies_is_asked_again_for_what_may_be_done_twice(*, repeatable: bool) -> None:
    contacts, address = Contacts(), f"127.0.0.1:{free_port()}"
    release = asyncio.Event()
    contacts.does = lambda _: release.wait()
    async with called(contacts, address) as served, serving(contacts, address):
        lane = await served.lane()
        waiting = asyncio.create_task(served.get("once", repeatable=repeatable))
        await eventually(lambda: contacts.begun == ["once"], seconds=PATIENCE)
        lane.wire.abort()
        await asyncio.wait_for(lane.over.wait(), PATIENCE)
        release.set()
        outcome = (await asyncio.gather(waiting, return_exceptions=True))[0]
    if repeatable:
        assert isinstance(outcome, Contact)
        assert contacts.begun == ["once", "once"]
    else:
        assert isinstance(outcome, aio.AioRpcError)
        assert outcome.code() is grpc.StatusCode.UNAVAILABLE
        assert contacts.begun == ["once"]


async def test_a_service_that_comes_back_is_carried_to_again() -> None:
    contacts, address = Contacts(), f"127.0.0.1:{free_port()}"
    async with called(contacts, address) as served:
        async with serving(contacts, address):
            first = await served.lane()
        await asyncio.wait_for(first.over.wait(), PATIENCE)
        async with serving(contacts, address):
            second = await served.lane()
            assert second is not first
            assert (await served.get("again")).id == "again"


async def test_a_lane_is_followed_by_the_next_before_it_gets_old(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeping, "AGE_SECONDS", 0.05)
    contacts, address = Contacts(), f"127.0.0.1:{free_port()}"
    async with serving(contacts, address), called(contacts, address) as served:
        first = await served.lane()
        answers = [await served.get(str(number), repeatable=False) for number in range(200)]
        await eventually(lambda: served.lanes.lane not in (None, first), seconds=PATIENCE)
    assert [each.id for each in answers] == [str(number) for number in range(200)]


async def test_a_large_request_goes_by_itself(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    lane = await served.lane()
    carried: list[int] = []
    monkeypatch.setattr(lane, "call", lambda *_, **__: carried.append(1))
    size = ways.CARRIED_BYTES
    assert len((await served.get("large", size=size)).id) == len("large") + size
    assert not carried


@settings(max_examples=50)
@given(st.lists(st.sampled_from([0, 1, PARCEL_BYTES // 3, PARCEL_BYTES // 2 + 1, PARCEL_BYTES, 2 * PARCEL_BYTES]), max_size=12))
def test_parcels_keep_the_order_and_their_bound(sizes: list[int]) -> None:
    calls = [CarriedCall(id=number, message=bytes(size)) for number, size in enumerate(sizes)]
    pieces = list(parcels(calls))
    assert [each.id for piece in pieces for each in piece] == list(range(len(sizes)))
    assert all(len(piece) == 1 or sum(len(each.message) for each in piece) <= PARCEL_BYTES for piece in pieces)
    assert all(pieces)
