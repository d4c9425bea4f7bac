"""The doors to the chains: services have their batches sealed, organisations and operators have a trail verified."""

from collections.abc import Iterable
from typing import Final

from chassis import errors, ids, pages
from chassis.clients import Clients
from chassis.context import current
from chassis.errors import PermissionDenied, Reason, Violation
from chassis.interceptors.chain import Context
from kith.common.v1.audit_pb2 import AuditBatch, AuditReceipt, SealAuditBatchesRequest, SealAuditBatchesResponse
from kith.common.v1.audit_pb2_grpc import AuditSealServiceServicer
from kith.identity.v1.audit_pb2 import AuditSeal, VerifyAuditTrailRequest, VerifyAuditTrailResponse
from kith.identity.v1.audit_pb2_grpc import AuditServiceServicer
from services.identity.audit import rules
from services.identity.audit.chain import Chain
from services.identity.audit.rules import Batch, Seal
from services.identity.audit.verify import Known, Position, Verification
from services.identity.keys.keyring import Keyring

MOST: Final = 500  # batches that one question may hold
ROOT_BYTES: Final = 32


class AuditSealService(AuditSealServiceServicer):
    """Seals batches of the service that calls."""

    def __init__(self, chain: Chain) -> None:
        self._chain = chain

    async def SealAuditBatches(self, request: SealAuditBatchesRequest, context: Context) -> SealAuditBatchesResponse:
        """Return the receipt of each batch, in their order; an empty one for what is refused, so that nothing else waits for it."""
        caller = current().caller
        if caller.tenant_id:
            raise PermissionDenied(Reason.PERMISSION_MISSING, "the service token is for one tenant")
        if len(request.batches) > MOST:
            errors.raise_for([Violation("batches", f"must not be more than {MOST}")])
        good = [_batch(each) for each in request.batches if _is_batch(each)]
        seals = iter(await self._chain.seal(caller.service, good) if good else [])
        return SealAuditBatchesResponse(receipts=[_receipt(next(seals)) if _is_batch(each) else AuditReceipt() for each in request.batches])


class AuditService(AuditServiceServicer):
    """Verifies the trail of the caller's tenant. `services` are those that hold rows."""

    def __init__(self, clients: Clients, keyring: Keyring, services: Iterable[str]) -> None:
        self._clients = clients
        self._keyring = keyring
        self._services = tuple(services)

    async def VerifyAuditTrail(self, request: VerifyAuditTrailRequest, context: Context) -> VerifyAuditTrailResponse:
        """Verify one stretch for a member of the organisation."""
        return await self._verify(request)

    async def CheckAuditTrail(self, request: VerifyAuditTrailRequest, context: Context) -> VerifyAuditTrailResponse:
        """Verify one stretch for an operator."""
        return await self._verify(request)

    async def _verify(self, request: VerifyAuditTrailRequest) -> VerifyAuditTrailResponse:
        tenant_id = current().caller.tenant_id
        known = Known(request.known_number, request.known_digest)
        bound_to = ("audit trail", tenant_id, str(known.number), known.digest)
        position = _position(request.page_token, bound_to)
        found = await Verification(self._clients, self._keyring, self._services, tenant_id, known).run(position)
        following = "" if found.flaw or found.complete else _token(position, bound_to)
        last = AuditSeal(number=position.number, digest=position.digest.hex()) if position.number else None
        return VerifyAuditTrailResponse(
            row_count=position.row_count,
            last_seal=last,
            flaw=found.flaw,
            next_page_token=following,
            unsealed_row_count=found.unsealed.row_count,
            oldest_unsealed_time=found.unsealed.since,
        )


def _is_batch(said: AuditBatch) -> bool:
    """Say whether this can be sealed: batches and their rows are counted from 1."""
    return ids.valid(said.tenant_id) and min(said.number, said.row_count) >= 1 and len(said.root) == ROOT_BYTES


def _batch(said: AuditBatch) -> Batch:
    return Batch(tenant_id=said.tenant_id, number=said.number, row_count=said.row_count, root=said.root)


def _receipt(seal: Seal | None) -> AuditReceipt:
    return AuditReceipt(seal_number=seal.number, seal_digest=rules.digest(seal)) if seal else AuditReceipt()


def _position(token: str, bound_to: tuple[str, ...]) -> Position:
    if not token:
        return Position()
    number, digest, row_count, *batches = pages.unseal(token, bound_to)
    return Position(
        number=number, digest=bytes.fromhex(digest), row_count=row_count, batches=dict(zip(batches[::2], batches[1::2], strict=True))
    )


def _token(position: Position, bound_to: tuple[str, ...]) -> str:
    batches = [part for each in sorted(position.batches.items()) for part in each]
    return pages.seal([position.number, position.digest.hex(), position.row_count, *batches], bound_to)
