"""Keys of records are given to the services that the contract names, each tenant's by itself, and every service gives away its own."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Any

import grpc
import pytest
from grpc import aio

from chassis import contract, ids
from chassis.sealing.opening import ASKED
from kith.common.v1.subject_keys_pb2 import BatchGetSubjectKeysRequest, SearchSubjectKeysRequest, TenantRecords
from kith.common.v1.subject_keys_pb2_grpc import SubjectKeyServiceStub
from stack.topology import EDGE, SERVICES
from tests.conftest import Channel, Person, Register, ServiceToken
from tests.patience import SECONDS

Token = Callable[..., str]


@pytest.fixture
async def owner(register: Register) -> Person:
    return await register()


@pytest.fixture
def token(service_token: ServiceToken) -> Token:
    """What crm shows identity, whose keys it may have."""
    return partial(service_token, "identity", by="crm")


async def keys(channel: Channel, token: str, *subjects: str, service: str = "identity") -> dict[str, bytes]:
    stub = SubjectKeyServiceStub(channel(service))
    metadata = (("x-kith-service", token),)
    answer = await stub.BatchGetSubjectKeys(BatchGetSubjectKeysRequest(ids=subjects), metadata=metadata, timeout=SECONDS)
    assert sorted([*answer.missing_ids, *(each.id for each in answer.subject_keys)]) == sorted(subjects)
    return {each.id: each.secret_key for each in answer.subject_keys}


async def test_a_service_gets_the_keys_that_are_there(channel: Channel, token: Token, owner: Person) -> None:
    unknown = ids.new()
    found = await keys(channel, token(owner.tenant_id), owner.user_id, unknown)
    assert {subject: len(key) for subject, key in found.items()} == {owner.user_id: 32}
    assert await keys(channel, token(owner.tenant_id), owner.user_id) == found


async def test_another_tenants_key_is_not_found(channel: Channel, token: Token, owner: Person, register: Register) -> None:
    stranger = await register()
    assert await keys(channel, token(stranger.tenant_id), owner.user_id) == {}


@pytest.mark.parametrize("service", [service.name for service in SERVICES])
@pytest.mark.parametrize("caller", [service.name for service in (EDGE, *SERVICES)])
async def test_every_service_answers_the_readers_that_the_contract_names_and_nobody_else(
    channel: Channel, service_token: ServiceToken, owner: Person, service: str, caller: str
) -> None:
    asked = keys(channel, service_token(service, owner.tenant_id, by=caller), owner.user_id, service=service)
    if caller in contract.key_readers(service):
        assert bool(await asked) == (service == "identity")
    else:
        assert await code(asked) is grpc.StatusCode.PERMISSION_DENIED
        assert await code(search(channel, service_token(service, by=caller), {}, service=service)) is grpc.StatusCode.PERMISSION_DENIED


async def code(question: Awaitable[Any]) -> grpc.StatusCode:
    with pytest.raises(aio.AioRpcError) as refused:
        await question
    return refused.value.code()


async def search(
    channel: Channel, token: str, records: Mapping[str, Sequence[str]], *, service: str = "identity"
) -> list[tuple[str, dict[str, bytes]]]:
    request = SearchSubjectKeysRequest(
        tenants=[TenantRecords(tenant_id=tenant_id, ids=subjects) for tenant_id, subjects in records.items()]
    )
    answer = await SubjectKeyServiceStub(channel(service)).SearchSubjectKeys(
        request, metadata=(("x-kith-service", token),), timeout=SECONDS
    )
    return [(of.tenant_id, {each.id: each.secret_key for each in of.subject_keys}) for of in answer.tenants]


async def test_several_tenants_keys_are_found_with_one_question_each_tenants_by_itself(
    channel: Channel, token: Token, owner: Person, register: Register
) -> None:
    stranger, nobody = await register(), ids.new()
    subjects = [stranger.user_id, owner.user_id, ids.new()]
    expected = [(of.tenant_id, await keys(channel, token(of.tenant_id), of.user_id)) for of in (owner, stranger)]
    found = await search(channel, token(), dict.fromkeys((owner.tenant_id, stranger.tenant_id, nobody), subjects))
    assert found == [*expected, (nobody, {})]


async def test_a_token_for_one_tenant_asks_for_that_one_alone(channel: Channel, token: Token, owner: Person) -> None:
    assert await code(search(channel, token(ids.new()), {owner.tenant_id: [owner.user_id]})) is grpc.StatusCode.PERMISSION_DENIED


@pytest.mark.parametrize("tenant_id", ["", "x", "'; --"])
async def test_what_is_no_tenant_is_refused(channel: Channel, token: Token, owner: Person, tenant_id: str) -> None:
    assert (
        await code(search(channel, token(), {owner.tenant_id: [owner.user_id], tenant_id: [owner.user_id]}))
        is grpc.StatusCode.INVALID_ARGUMENT
    )


async def test_the_bound_to_one_question_holds_for_all_tenants_together(channel: Channel, token: Token) -> None:
    half = [ids.new() for _ in range(ASKED // 2 + 1)]
    assert await code(search(channel, token(), {ids.new(): half, ids.new(): half})) is grpc.StatusCode.INVALID_ARGUMENT


async def test_a_person_gets_no_key(channel: Channel, owner: Person) -> None:
    stub = SubjectKeyServiceStub(channel("identity"))
    records = [TenantRecords(tenant_id=owner.tenant_id, ids=[owner.user_id])]
    for metadata in ((), owner.metadata):
        questions = (
            stub.BatchGetSubjectKeys(BatchGetSubjectKeysRequest(ids=[owner.user_id]), metadata=metadata, timeout=SECONDS),
            stub.SearchSubjectKeys(SearchSubjectKeysRequest(tenants=records), metadata=metadata, timeout=SECONDS),
        )
        for question in questions:
            with pytest.raises(aio.AioRpcError) as refused:
                await question
            assert refused.value.code() is grpc.StatusCode.UNAUTHENTICATED


async def test_there_is_a_bound_to_one_question(channel: Channel, token: Token, owner: Person) -> None:
    assert await code(keys(channel, token(owner.tenant_id), *(ids.new() for _ in range(ASKED + 1)))) is grpc.StatusCode.INVALID_ARGUMENT
