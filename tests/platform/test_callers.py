"""Who calls a service directly is known by tokens alone; what only the platform may say is believed of nobody else."""

from typing import Any

import grpc
import psycopg
import pytest
from google.protobuf.empty_pb2 import Empty
from google.rpc import error_details_pb2
from grpc import aio
from grpc_status import rpc_status

from kith.crm.v1 import contacts_pb2, contacts_pb2_grpc
from kith.identity.v1 import tenants_pb2_grpc
from tests.conftest import AdminDsn, Channel, Person, Register, ServiceToken

SAID = (("x-request-id", "said-by-a-caller"), ("x-kith-client-ip", "203.0.113.7"), ("x-kith-user-agent", "Said"))


@pytest.fixture(scope="module")
async def owner(register: Register) -> Person:
    return await register()


@pytest.fixture
def contacts(channel: Channel) -> Any:
    return contacts_pb2_grpc.ContactServiceStub(channel("crm"))


async def refused(call: Any) -> tuple[grpc.StatusCode, str]:
    with pytest.raises(aio.AioRpcError) as failed:
        await call
    info = error_details_pb2.ErrorInfo()
    assert rpc_status.from_call(failed.value).details[0].Unpack(info)
    return failed.value.code(), info.reason


async def trail(dsn: str, contact_id: str) -> tuple[Any, ...]:
    query = "SELECT request_id, client_ip, user_agent FROM audit_log WHERE resource_id = %s"
    async with await psycopg.AsyncConnection.connect(dsn) as connection:
        (row,) = await (await connection.execute(query, [contact_id])).fetchall()
    return tuple(row)


async def test_only_a_service_is_believed_what_it_says_of_its_caller(
    contacts: Any, owner: Person, service_token: ServiceToken, admin_dsn: AdminDsn
) -> None:
    request = contacts_pb2.CreateContactRequest(contact=contacts_pb2.Contact(given_name="Ann"))
    alone = await contacts.CreateContact(request, metadata=(*owner.metadata, *SAID))
    request_id, client_ip, user_agent = await trail(admin_dsn("crm"), alone.id)
    assert (request_id != SAID[0][1], client_ip, user_agent) == (True, "", "")
    beside = await contacts.CreateContact(request, metadata=(*owner.metadata, *SAID, ("x-kith-service", service_token("crm"))))
    assert await trail(admin_dsn("crm"), beside.id) == tuple(value for _, value in SAID)


async def test_a_service_token_is_good_for_one_service(contacts: Any, owner: Person, service_token: ServiceToken) -> None:
    metadata = (*owner.metadata, ("x-kith-service", service_token("identity")))
    wanted = contacts_pb2.GetContactRequest(id=owner.user_id)
    assert await refused(contacts.GetContact(wanted, metadata=metadata)) == (grpc.StatusCode.UNAUTHENTICATED, "TOKEN_INVALID")


async def test_a_person_may_not_call_what_is_for_services(channel: Channel, owner: Person) -> None:
    tenants = tenants_pb2_grpc.TenantServiceStub(channel("identity"))
    assert await refused(tenants.GetTenant(Empty(), metadata=owner.metadata)) == (grpc.StatusCode.UNAUTHENTICATED, "INTERNAL_ONLY")


async def test_two_tokens_are_as_bad_as_a_wrong_one(contacts: Any, owner: Person) -> None:
    wanted = contacts_pb2.GetContactRequest(id=owner.user_id)
    twice = (*owner.metadata, *owner.metadata)
    assert await refused(contacts.GetContact(wanted, metadata=twice)) == (grpc.StatusCode.UNAUTHENTICATED, "TOKEN_INVALID")


@pytest.mark.parametrize("name", ["x-{}", "x-same"])
async def test_a_heap_of_metadata_is_refused(contacts: Any, owner: Person, name: str) -> None:
    heap = tuple((name.format(number), "1") for number in range(65))
    wanted = contacts_pb2.GetContactRequest(id=owner.user_id)
    assert await refused(contacts.GetContact(wanted, metadata=(*owner.metadata, *heap))) == (
        grpc.StatusCode.INVALID_ARGUMENT,
        "BODY_INVALID",
    )
