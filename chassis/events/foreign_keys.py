"""Keys of other services' records, which open their events: asked of the service that the records belong to."""

from collections.abc import Collection, Mapping
from typing import Any

from chassis.clients import Clients
from chassis.context import NO_TENANT
from chassis.sealing.opening import Opener, Records
from kith.common.v1.subject_keys_pb2 import (
    BatchGetSubjectKeysRequest,
    BatchGetSubjectKeysResponse,
    SearchSubjectKeysRequest,
    SearchSubjectKeysResponse,
    TenantRecords,
)
from kith.common.v1.subject_keys_pb2_grpc import SubjectKeyServiceStub


def remote(source: str, clients: Clients) -> Opener:
    """Return what opens the events of another service, by asking that service. Raises ContractError if its address is missing."""
    for_nobody: Any = SubjectKeyServiceStub(clients.channel(NO_TENANT, of=source))

    async def ask(records: Records) -> Mapping[tuple[str, str], bytes]:
        if len(records) > 1:
            return await _of_many(for_nobody, records)
        ((tenant_id, subjects),) = records.items()
        return await _of_one(SubjectKeyServiceStub(clients.channel(tenant_id, of=source)), tenant_id, subjects)

    return Opener(ask)


async def _of_one(stub: Any, tenant_id: str, subjects: Collection[str]) -> Mapping[tuple[str, str], bytes]:
    answer: BatchGetSubjectKeysResponse = await stub.BatchGetSubjectKeys(BatchGetSubjectKeysRequest(ids=subjects))
    return {(tenant_id, each.id): each.secret_key for each in answer.subject_keys}


async def _of_many(stub: Any, records: Records) -> Mapping[tuple[str, str], bytes]:
    tenants = [TenantRecords(tenant_id=tenant_id, ids=subjects) for tenant_id, subjects in records.items()]
    answer: SearchSubjectKeysResponse = await stub.SearchSubjectKeys(SearchSubjectKeysRequest(tenants=tenants))
    return {(of.tenant_id, each.id): each.secret_key for of in answer.tenants for each in of.subject_keys}
