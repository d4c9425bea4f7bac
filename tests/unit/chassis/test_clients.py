"""Calls to other services end in time, say who calls, are repeated only where that is harmless, and leave a dead target alone."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import grpc
import pytest
from google.protobuf.empty_pb2 import Empty
from google.rpc.error_details_pb2 import ErrorInfo
from grpc import aio
from grpc_status import rpc_status

from chassis import ids
from chassis.clients import Clients
from chassis.clients.breaker import FAILURES, FIRST_REST, Breaker
from chassis.clients.budget import RESERVE, Budget
from chassis.clients.calls import DEADLINE, MARGIN
from chassis.context import Caller, CallerKind, Request, enter
from chassis.contract import ContractError
from chassis.errors import Aborted, Code, DeadlineExceeded, Internal, NotFound, Reason, Refusal, Unavailable, Violation
from chassis.interceptors.errors import status
from chassis.telemetry import tracing
from chassis.tokens.service import ServiceSigner, ServiceVerifier, new_key, public_key_set
from kith.crm.v1.contacts_pb2 import CreateContactRequest, ExportContactsRequest
from kith.crm.v1.contacts_pb2_grpc import ContactServiceStub
from kith.identity.v1 import tenants_pb2_grpc
from kith.identity.v1.tenants_pb2 import Tenant
from kith.identity.v1.tenants_pb2_grpc import TenantServiceStub

KEY = new_key("crm")


class Tenants(tenants_pb2_grpc.TenantServiceServicer):
    """Answers as a test wants it."""

    def __init__(self) -> None:
        self.calls: list[dict[str, str]] = []
        self.left: list[float] = []
        self.answer: Callable[[Any], Awaitable[Tenant]] = self.well

    async def GetTenant(self, request: Empty, context: Any) -> Tenant:
        self.calls.append(dict(context.invocation_metadata()))
        self.left.append(context.time_remaining())
        return await self.answer(context)

    async def well(self, _: Any) -> Tenant:
        return Tenant(id="t")


@pytest.fixture
async def tenants() -> Tenants:
    return Tenants()


@pytest.fixture
async def address(tenants: Tenants) -> AsyncIterator[str]:
    server = aio.server()
    tenants_pb2_grpc.add_TenantServiceServicer_to_server(tenants, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    yield f"127.0.0.1:{port}"
    await server.stop(None)


@pytest.fixture
async def clients(address: str) -> AsyncIterator[Clients]:
    async with Clients({"identity": address}, ServiceSigner(service="crm", key=KEY)) as opened:
        yield opened


def aborts(code: grpc.StatusCode, *, times: int = 10_000) -> Callable[[Any], Awaitable[Tenant]]:
    left = times

    async def answer(context: Any) -> Tenant:
        nonlocal left
        left -= 1
        if left >= 0:
            await context.abort(code, "secret internals")
        return Tenant(id="t")

    return answer


async def test_a_call_says_who_calls_and_for_whom(clients: Clients, tenants: Tenants) -> None:
    tenant = ids.new()
    enter(Request(request_id="request-1", caller=Caller(kind=CallerKind.USER, tenant_id=tenant), locale="fr"))
    with tracing.serve("x", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"):
        answer = await TenantServiceStub(clients.channel()).GetTenant(Empty())
    assert answer.id == "t"
    (metadata,) = tenants.calls
    said = ServiceVerifier(audience="identity", key_set=json.dumps(public_key_set([KEY])).encode()).verify(metadata["x-kith-service"])
    assert (said.service, said.tenant_id) == ("crm", tenant)
    assert metadata["x-request-id"] == "request-1"
    assert metadata["accept-language"] == "fr"
    assert metadata["traceparent"].startswith("00-0af7651916cd43dd8448eb211c80319c-")
    assert "authorization" not in metadata


async def test_a_tenant_can_be_named(clients: Clients, tenants: Tenants) -> None:
    tenant = ids.new()
    await TenantServiceStub(clients.channel(tenant)).GetTenant(Empty())
    verifier = ServiceVerifier(audience="identity", key_set=json.dumps(public_key_set([KEY])).encode())
    assert verifier.verify(tenants.calls[0]["x-kith-service"]).tenant_id == tenant


async def test_the_callers_deadline_bounds_the_call(clients: Clients, tenants: Tenants) -> None:
    stub = TenantServiceStub(clients.channel())
    loop = asyncio.get_running_loop()
    enter(Request(request_id="r", deadline=loop.time() + DEADLINE - 1))
    await stub.GetTenant(Empty())
    assert tenants.left[0] <= DEADLINE - 1 - MARGIN + 0.02  # gRPC rounds a time-out up before it sends it
    enter(Request(request_id="r", deadline=loop.time() + MARGIN / 2))
    with pytest.raises(DeadlineExceeded):
        await stub.GetTenant(Empty())
    assert len(tenants.calls) == 1


async def test_a_slow_target_ends_in_a_refusal(clients: Clients, tenants: Tenants) -> None:
    async def slow(_: Any) -> Tenant:
        await asyncio.sleep(600)
        return Tenant()

    tenants.answer = slow
    with pytest.raises(DeadlineExceeded) as caught:
        await TenantServiceStub(clients.channel()).GetTenant(Empty(), timeout=0.1)
    assert caught.value.reason is Reason.DEADLINE_EXCEEDED


async def test_a_read_is_repeated_when_the_target_is_unavailable(clients: Clients, tenants: Tenants) -> None:
    tenants.answer = aborts(grpc.StatusCode.UNAVAILABLE, times=2)
    assert (await TenantServiceStub(clients.channel()).GetTenant(Empty())).id == "t"
    assert len(tenants.calls) == 3


async def test_no_other_failure_is_repeated(clients: Clients, tenants: Tenants) -> None:
    tenants.answer = aborts(grpc.StatusCode.INTERNAL)
    with pytest.raises(Internal) as caught:
        await TenantServiceStub(clients.channel()).GetTenant(Empty())
    assert len(tenants.calls) == 1
    assert "secret" not in caught.value.message


async def test_a_call_that_a_target_gave_up_is_refused_as_unavailable(clients: Clients, tenants: Tenants) -> None:
    tenants.answer = aborts(grpc.StatusCode.CANCELLED)
    with pytest.raises(Unavailable) as caught:
        await TenantServiceStub(clients.channel()).GetTenant(Empty())
    assert caught.value.reason is Reason.UNAVAILABLE


async def test_only_a_write_with_a_key_is_repeated() -> None:
    server = aio.server()
    calls = 0

    async def count(request: Any, context: Any) -> None:
        nonlocal calls
        calls += 1
        await context.abort(grpc.StatusCode.UNAVAILABLE, "")

    handler = grpc.unary_unary_rpc_method_handler(count, request_deserializer=CreateContactRequest.FromString)
    server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler("kith.crm.v1.ContactService", {"CreateContact": handler})])
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with Clients({"crm": f"127.0.0.1:{port}"}, ServiceSigner(service="ai", key=KEY)) as clients:
        stub = ContactServiceStub(clients.channel())
        with pytest.raises(Unavailable):
            await stub.CreateContact(CreateContactRequest())
        assert calls == 1
        with pytest.raises(Unavailable):
            await stub.CreateContact(CreateContactRequest(), metadata=(("idempotency-key", "k"),))
        assert calls == 4
    await server.stop(None)


async def test_a_refusal_comes_back_as_it_was_raised(clients: Clients, tenants: Tenants) -> None:
    raised = Aborted(Reason.ETAG_MISMATCH, "changed", fields=[Violation("etag", "old", "OLD")], retry_after=1.5, etag='"3"')

    async def refuse(context: Any) -> Tenant:
        await context.abort_with_status(rpc_status.to_status(status(raised)))
        raise AssertionError

    tenants.answer = refuse
    with pytest.raises(Aborted) as caught:
        await TenantServiceStub(clients.channel()).GetTenant(Empty())
    back = caught.value
    assert back.reason is Reason.ETAG_MISMATCH
    assert (back.message, back.fields, back.retry_after, back.metadata) == ("changed", raised.fields, 1.5, {"etag": '"3"'})


async def test_a_reason_of_another_service_keeps_its_domain(clients: Clients, tenants: Tenants) -> None:
    async def refuse(context: Any) -> Tenant:
        said = status(NotFound(Reason.NOT_FOUND, "none"))
        said.details[0].Pack(ErrorInfo(reason="ROLE_UNKNOWN", domain="identity.kith.dev"))
        await context.abort_with_status(rpc_status.to_status(said))
        raise AssertionError

    tenants.answer = refuse
    with pytest.raises(NotFound) as caught:
        await TenantServiceStub(clients.channel()).GetTenant(Empty())
    assert (caught.value.reason.value, caught.value.reason.domain) == ("ROLE_UNKNOWN", "identity.kith.dev")
    assert Reason.NOT_FOUND.domain == "kith.dev"


async def test_a_dead_target_is_left_alone_until_a_call_finds_it_back(
    address: str, tenants: Tenants, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()
    monkeypatch.setattr(Breaker.__init__, "__kwdefaults__", {"clock": clock})
    tenants.answer = aborts(grpc.StatusCode.UNAVAILABLE)
    async with Clients({"identity": address}, ServiceSigner(service="crm", key=KEY)) as clients:
        stub = TenantServiceStub(clients.channel())
        for _ in range(FAILURES):
            with pytest.raises(Unavailable):
                await stub.GetTenant(Empty())
        reached = len(tenants.calls)
        with pytest.raises(Unavailable) as caught:
            await stub.GetTenant(Empty())
        assert caught.value.retry_after
        assert len(tenants.calls) == reached
        tenants.answer = tenants.well
        clock.now += 2 * FIRST_REST
        assert (await stub.GetTenant(Empty())).id == "t"


async def test_nobody_there_is_unavailable() -> None:
    async with Clients({"identity": "127.0.0.1:1"}, ServiceSigner(service="crm", key=KEY)) as clients:
        with pytest.raises(Unavailable) as caught:
            await TenantServiceStub(clients.channel()).GetTenant(Empty(), timeout=60)
    assert caught.value.code is Code.UNAVAILABLE


async def test_a_service_without_an_address_is_found_at_the_start(clients: Clients) -> None:
    with pytest.raises(ContractError, match="no address of crm"):
        ContactServiceStub(clients.channel())


async def test_a_stub_whose_service_also_streams_can_be_made_and_no_stream_called(address: str) -> None:
    async with Clients({"crm": address}, ServiceSigner(service="ai", key=KEY)) as clients:
        stub = ContactServiceStub(clients.channel())
        with pytest.raises(ContractError, match="ExportContacts: a service calls no stream"):
            stub.ExportContacts(ExportContactsRequest())


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_breaker_lets_one_call_try() -> None:
    clock = Clock()
    guarded = Breaker("identity", clock=clock)
    for _ in range(FAILURES):
        guarded.check()
        guarded.failed()
    for _ in range(2):
        with pytest.raises(Refusal):
            guarded.check()
    clock.now = 1
    guarded.check()
    with pytest.raises(Refusal):
        guarded.check()
    guarded.failed()
    clock.now = 1.7
    with pytest.raises(Refusal):  # the second rest is longer
        guarded.check()
    clock.now = 3
    guarded.check()
    guarded.given_up()
    guarded.check()
    guarded.succeeded()
    guarded.check()
    guarded.check()


def test_a_success_in_between_keeps_a_breaker_closed() -> None:
    guarded = Breaker("identity")
    for _ in range(3 * FAILURES):
        guarded.check()
        guarded.failed()
        guarded.succeeded()
    guarded.check()


def test_retries_are_a_tenth_of_the_calls() -> None:
    budget = Budget()
    while budget.spend():
        pass
    for _ in range(95):
        budget.called()
    assert sum(budget.spend() for _ in range(95)) == 9
    for _ in range(10_000):
        budget.called()
    assert sum(budget.spend() for _ in range(100)) == RESERVE
