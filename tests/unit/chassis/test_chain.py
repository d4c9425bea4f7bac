"""The chain around every RPC: its order, and what a client sees when something goes wrong inside."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, ClassVar

import grpc
import psycopg
import pytest
from google.api.httpbody_pb2 import HttpBody
from google.rpc import error_details_pb2
from grpc import aio
from grpc_status import rpc_status
from psycopg import errors as pg

from chassis import context, server
from chassis.contract import ContractError
from chassis.errors import FailedPrecondition, Reason, Violation
from chassis.interceptors.chain import ORDER, Call, Chain, Next
from chassis.interceptors.deadline import Deadline
from chassis.interceptors.errors import Errors
from chassis.interceptors.idempotency import Idempotency
from chassis.interceptors.policy import Policy
from chassis.interceptors.telemetry import Telemetry
from kith.crm.v1 import contacts_pb2 as messages
from kith.crm.v1 import contacts_pb2_grpc as rpcs
from kith.options.v1.permissions_pb2 import PERMISSION_CRM_CONTACTS_READ
from tests.unit.chassis.servers import free_port

READER = 1 << PERMISSION_CRM_CONTACTS_READ


class Everybody:
    """Stands where identity stands; lets everybody in with one set of permissions."""

    name: ClassVar[str] = "identity"

    def __init__(self, permissions: int) -> None:
        self._permissions = permissions

    async def __call__(self, call: Call, proceed: Next) -> Any:
        call.request.caller = context.Caller(kind=context.CallerKind.USER, permissions=self._permissions)
        return await proceed(call)


class Contacts(rpcs.ContactServiceServicer):
    """Answers GetContact with whatever a test does in it."""

    def __init__(self, does: Callable[[], Any]) -> None:
        self._does = does

    async def GetContact(self, request: messages.GetContactRequest, context: Any) -> messages.Contact:
        result = self._does()
        return messages.Contact(id=await result if asyncio.iscoroutine(result) else result)

    def ExportContacts(self, request: messages.ExportContactsRequest, context: Any) -> AsyncIterator[HttpBody]:
        stream: AsyncIterator[HttpBody] = self._does()
        return stream


@asynccontextmanager
async def served(does: Callable[[], Any], *, permissions: int = READER, deadline: float = 60) -> AsyncIterator[aio.Channel]:
    servicer = Contacts(does)
    stages = [Telemetry(), Errors(), Deadline(deadline), Everybody(permissions), Policy(), Idempotency(b"k" * 32)]
    address = f"127.0.0.1:{free_port()}"
    async with (
        server.Server([servicer], Chain(stages, None), address=address, concurrent_calls=10, grace=0),
        aio.insecure_channel(address) as channel,
    ):
        yield channel


async def get(channel: aio.Channel) -> messages.Contact:
    answer: messages.Contact = await rpcs.ContactServiceStub(channel).GetContact(messages.GetContactRequest(id="x"), timeout=60)
    return answer


def raising(failure: BaseException) -> Callable[[], Any]:
    def act() -> Any:
        raise failure

    return act


async def refusal(does: Callable[[], Any], **options: Any) -> tuple[grpc.StatusCode, str, error_details_pb2.ErrorInfo, Any]:
    async with served(does, **options) as channel:
        with pytest.raises(aio.AioRpcError) as failed:
            await get(channel)
    status = rpc_status.from_call(failed.value)
    assert status is not None
    info = error_details_pb2.ErrorInfo()
    assert sum(each.Unpack(info) for each in status.details) == 1
    return failed.value.code(), failed.value.details() or "", info, status


def test_another_order_is_refused_at_the_start() -> None:
    stages = [Errors(), Telemetry(), Deadline(1), Everybody(0), Policy(), Idempotency(b"k" * 32)]
    with pytest.raises(ContractError, match="order"):
        Chain(stages, None)
    assert ORDER == ("telemetry", "errors", "deadline", "identity", "policy", "idempotency")


async def test_an_answer_passes() -> None:
    async with served(lambda: "there") as channel:
        assert (await get(channel)).id == "there"


async def test_an_uncaught_exception_never_shows_its_text() -> None:
    code, details, info, status = await refusal(raising(ValueError("planted-secret")))
    assert code == grpc.StatusCode.INTERNAL
    assert info.reason == Reason.INTERNAL
    assert "planted" not in details + str(status)


async def test_a_refusal_arrives_with_its_reason_fields_and_delay() -> None:
    wrong = FailedPrecondition(Reason.TRY_AGAIN, "not now", fields=[Violation("a.b", "why")], retry_after=1.5, key="value")
    code, details, info, status = await refusal(raising(wrong))
    assert (code, details) == (grpc.StatusCode.FAILED_PRECONDITION, "not now")
    assert (info.reason, info.domain, dict(info.metadata)) == ("TRY_AGAIN", "kith.dev", {"key": "value"})
    retry, bad = error_details_pb2.RetryInfo(), error_details_pb2.BadRequest()
    assert any(each.Unpack(retry) for each in status.details)
    assert any(each.Unpack(bad) for each in status.details)
    assert retry.retry_delay.ToMilliseconds() == 1500
    assert [(each.field, each.description) for each in bad.field_violations] == [("a.b", "why")]


async def test_a_caller_without_the_permission_is_told_which_one() -> None:
    code, _, info, _ = await refusal(lambda: "there", permissions=~READER & 0xFFFF)
    assert code == grpc.StatusCode.PERMISSION_DENIED
    assert dict(info.metadata) == {"permission": "CRM_CONTACTS_READ"}


async def test_a_slow_call_ends_at_its_deadline() -> None:
    code, _, info, _ = await refusal(lambda: asyncio.sleep(600), deadline=0.05)
    assert (code, info.reason) == (grpc.StatusCode.DEADLINE_EXCEEDED, Reason.DEADLINE_EXCEEDED)


@pytest.mark.parametrize("met", [pg.DeadlockDetected, pg.UniqueViolation])
async def test_a_transaction_that_met_another_is_run_again(met: type[Exception]) -> None:
    tries: list[int] = []

    def act() -> str:
        tries.append(1)
        if len(tries) < 3:
            raise met
        return "there"

    async with served(act) as channel:
        assert (await get(channel)).id == "there"
    assert len(tries) == 3


@pytest.mark.parametrize(
    ("failure", "code", "reason"),
    [
        (pg.SerializationFailure("planted"), grpc.StatusCode.ABORTED, Reason.TRY_AGAIN),
        (pg.QueryCanceled("planted"), grpc.StatusCode.DEADLINE_EXCEEDED, Reason.DEADLINE_EXCEEDED),
        (psycopg.OperationalError("planted"), grpc.StatusCode.UNAVAILABLE, Reason.UNAVAILABLE),
        (pg.UniqueViolation("planted"), grpc.StatusCode.INTERNAL, Reason.INTERNAL),
    ],
)
async def test_a_failure_of_the_database_says_what_the_caller_can_do(failure: Exception, code: grpc.StatusCode, reason: Reason) -> None:
    seen, details, info, _ = await refusal(raising(failure))
    assert (seen, info.reason) == (code, reason)
    assert "planted" not in details


async def test_a_method_outside_of_the_contract_is_unimplemented() -> None:
    async with served(lambda: "there") as channel:
        for path in (
            "/kith.crm.v1.ContactService/Nothing",
            "/kith.crm.v1.ContactService/getcontact",
            "/kith.crm.v1.ContactService/GetContact/",
        ):
            with pytest.raises(aio.AioRpcError) as failed:
                await channel.unary_unary(path)(b"")
            assert failed.value.code() == grpc.StatusCode.UNIMPLEMENTED


async def test_a_stream_that_nobody_reads_on_ends_where_it_stands_and_in_its_own_call() -> None:
    ended: asyncio.Queue[str] = asyncio.Queue()

    async def stream() -> AsyncIterator[HttpBody]:
        try:
            while True:
                yield HttpBody(data=b"x")
        finally:
            await asyncio.sleep(0)
            ended.put_nowait(context.current().request_id)

    async with served(stream, permissions=-1) as channel:
        call = rpcs.ContactServiceStub(channel).ExportContacts(messages.ExportContactsRequest())
        await call.read()
        call.cancel()
        assert await asyncio.wait_for(ended.get(), 60)
