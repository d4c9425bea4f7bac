"""Keys of records are given to services alone, each tenant's by itself, and every service gives away those of its own."""

import grpc
import pytest
from grpc import aio

from chassis import ids
from chassis.sealing.opening import ASKED
from kith.common.v1.subject_keys_pb2 import BatchGetSubjectKeysRequest
from kith.common.v1.subject_keys_pb2_grpc import SubjectKeyServiceStub
from stack.topology import SERVICES
from tests.conftest import Channel, Person, Register, ServiceToken


@pytest.fixture
async def owner(register: Register) -> Person:
    return await register()


async def keys(channel: Channel, token: str, *subjects: str, service: str = "identity") -> dict[str, bytes]:
    stub = SubjectKeyServiceStub(channel(service))
    metadata = (("x-kith-service", token),)
    answer = await stub.BatchGetSubjectKeys(BatchGetSubjectKeysRequest(ids=subjects), metadata=metadata, timeout=30)
    assert sorted([*answer.missing_ids, *(each.id for each in answer.subject_keys)]) == sorted(subjects)
    return {each.id: each.secret_key for each in answer.subject_keys}


async def test_a_service_gets_the_keys_that_are_there(channel: Channel, service_token: ServiceToken, owner: Person) -> None:
    unknown = ids.new()
    found = await keys(channel, service_token("identity", owner.tenant_id), owner.user_id, unknown)
    assert {subject: len(key) for subject, key in found.items()} == {owner.user_id: 32}
    assert await keys(channel, service_token("identity", owner.tenant_id), owner.user_id) == found


async def test_another_tenants_key_is_not_found(channel: Channel, service_token: ServiceToken, owner: Person, register: Register) -> None:
    stranger = await register()
    assert await keys(channel, service_token("identity", stranger.tenant_id), owner.user_id) == {}


@pytest.mark.parametrize("service", [service.name for service in SERVICES])
async def test_every_service_answers_for_its_own_records(
    channel: Channel, service_token: ServiceToken, owner: Person, service: str
) -> None:
    token = service_token(service, owner.tenant_id)
    assert bool(await keys(channel, token, owner.user_id, service=service)) == (service == "identity")


async def test_a_person_gets_no_key(channel: Channel, owner: Person) -> None:
    stub = SubjectKeyServiceStub(channel("identity"))
    for metadata in ((), owner.metadata):
        with pytest.raises(aio.AioRpcError) as refused:
            await stub.BatchGetSubjectKeys(BatchGetSubjectKeysRequest(ids=[owner.user_id]), metadata=metadata, timeout=30)
        assert refused.value.code() is grpc.StatusCode.UNAUTHENTICATED


async def test_there_is_a_bound_to_one_question(channel: Channel, service_token: ServiceToken, owner: Person) -> None:
    with pytest.raises(aio.AioRpcError) as refused:
        await keys(channel, service_token("identity", owner.tenant_id), *(ids.new() for _ in range(ASKED + 1)))
    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
