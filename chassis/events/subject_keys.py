"""Keys of a service's own records: from its memory and database, and the RPCs by which every service gives them away."""

import asyncio
from collections.abc import Collection, Mapping
from typing import Final

import structlog

from chassis import contract, errors, ids
from chassis.context import current
from chassis.database import unit_of_work
from chassis.errors import PermissionDenied, Reason, Violation
from chassis.interceptors.chain import Context
from chassis.sealing.keys import SubjectKey as SealingKey
from chassis.sealing.opening import ASKED, Opener, Records
from kith.common.v1.subject_keys_pb2 import (
    BatchGetSubjectKeysRequest,
    BatchGetSubjectKeysResponse,
    SearchSubjectKeysRequest,
    SearchSubjectKeysResponse,
    SubjectKey,
    TenantRecords,
    TenantSubjectKeys,
)
from kith.common.v1.subject_keys_pb2_grpc import SubjectKeyServiceServicer

log = structlog.get_logger()

LOOKING: Final = 4  # tenants whose keys one question looks up at the same time, so that it leaves connections to others


class SubjectKeyService(SubjectKeyServiceServicer):
    """Gives away the keys of the service's own records: from memory what this process used a moment ago, else from its database.

    They go to the services that the contract names as readers (`key_readers` in the service's events.proto), and to nobody else.
    """

    def __init__(self, service: str) -> None:
        self._service = service

    async def BatchGetSubjectKeys(self, request: BatchGetSubjectKeysRequest, context: Context) -> BatchGetSubjectKeysResponse:
        """Return the keys of records of the tenant that the service token is for."""
        self._must_be_reader()
        _check("ids", len(request.ids))
        found = await _keys(current().caller.tenant_id, request.ids)
        return BatchGetSubjectKeysResponse(subject_keys=_shown(found), missing_ids=[each for each in request.ids if each not in found])

    async def SearchSubjectKeys(self, request: SearchSubjectKeysRequest, context: Context) -> SearchSubjectKeysResponse:
        """Return the keys of records of several tenants, each tenant's looked up by itself."""
        self._must_be_reader()
        if current().caller.tenant_id:
            raise PermissionDenied(Reason.PERMISSION_MISSING, "the service token is for one tenant")
        _check("tenants", sum(len(each.ids) for each in request.tenants))
        strange = [place for place, of in enumerate(request.tenants) if not ids.valid(of.tenant_id)]
        errors.raise_for([Violation(f"tenants[{place}].tenant_id", "is no id") for place in strange])
        looking = asyncio.Semaphore(LOOKING)

        async def keys(of: TenantRecords) -> TenantSubjectKeys:
            async with looking:
                return TenantSubjectKeys(tenant_id=of.tenant_id, subject_keys=_shown(await _keys(of.tenant_id, of.ids)))

        return SearchSubjectKeysResponse(tenants=await asyncio.gather(*map(keys, request.tenants)))

    def _must_be_reader(self) -> None:
        """Refuse a service that the contract does not let read the personal fields of this one's events."""
        caller = current().caller.service
        if caller not in contract.key_readers(self._service):
            log.warning("subject_keys_refused", caller=caller)
            raise PermissionDenied(Reason.PERMISSION_MISSING, f"the contract does not name {caller} as a reader of these keys")


def local() -> Opener:
    """Return what opens a service's own events, in the call or event that is in hand."""

    async def ask(records: Records) -> Mapping[tuple[str, str], bytes]:
        return {
            (tenant_id, subject): key.secret
            for tenant_id, subjects in records.items()
            for subject, key in (await _keys(tenant_id, subjects)).items()
        }

    return Opener(ask)


async def _keys(tenant_id: str, subjects: Collection[str]) -> Mapping[str, SealingKey]:
    """Return the keys that records of a tenant have. Nearly all questions are about a write that this process just did."""
    database = current().database
    found = database.keys.fresh(tenant_id, subjects) if database and database.keys else {}
    missing = [each for each in subjects if each not in found]
    if missing:
        async with unit_of_work(tenant_id) as work:
            found.update(await work.keys_of(missing))
    return found


def _shown(keys: Mapping[str, SealingKey]) -> list[SubjectKey]:
    return [SubjectKey(id=subject, secret_key=key.secret) for subject, key in keys.items()]


def _check(field: str, asked: int) -> None:
    if asked > ASKED:
        errors.raise_for([Violation(field, f"must not name more than {ASKED} records")])
