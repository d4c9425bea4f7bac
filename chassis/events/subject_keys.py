"""Where keys of records come from: a service's own database, and the RPC by which every service gives away those of its records."""

from collections.abc import Mapping, Sequence
from typing import Any

from chassis import errors
from chassis.clients import Clients
from chassis.context import current
from chassis.database import unit_of_work
from chassis.errors import Violation
from chassis.interceptors.chain import Context
from chassis.sealing.opening import ASKED, Opener
from kith.common.v1.subject_keys_pb2 import BatchGetSubjectKeysRequest, BatchGetSubjectKeysResponse, SubjectKey
from kith.common.v1.subject_keys_pb2_grpc import SubjectKeyServiceServicer, SubjectKeyServiceStub


class SubjectKeyService(SubjectKeyServiceServicer):
    """Gives away the keys of the service's own records, straight from its database: a key that was destroyed is gone at once."""

    async def BatchGetSubjectKeys(self, request: BatchGetSubjectKeysRequest, context: Context) -> BatchGetSubjectKeysResponse:
        """Return the keys of records of the tenant that the service token is for."""
        if len(request.ids) > ASKED:
            errors.raise_for([Violation("ids", f"must not be more than {ASKED}")])
        found = await _own(current().caller.tenant_id, request.ids)
        keys = [SubjectKey(id=subject, secret_key=secret) for subject, secret in found.items()]
        return BatchGetSubjectKeysResponse(subject_keys=keys, missing_ids=[each for each in request.ids if each not in found])


def local() -> Opener:
    """Return what opens a service's own events, in the call or event that is in hand."""
    return Opener(_own)


def remote(source: str, clients: Clients) -> Opener:
    """Return what opens the events of another service, by asking that service. Raises ContractError if its address is missing."""
    SubjectKeyServiceStub(clients.channel(of=source))

    async def ask(tenant_id: str, subjects: Sequence[str]) -> Mapping[str, bytes]:
        stub: Any = SubjectKeyServiceStub(clients.channel(tenant_id, of=source))
        answer: BatchGetSubjectKeysResponse = await stub.BatchGetSubjectKeys(BatchGetSubjectKeysRequest(ids=subjects))
        return {each.id: each.secret_key for each in answer.subject_keys}

    return Opener(ask)


async def _own(tenant_id: str, subjects: Sequence[str]) -> Mapping[str, bytes]:
    async with unit_of_work(tenant_id) as work:
        return {subject: key.secret for subject, key in (await work.keys_of(subjects)).items()}
