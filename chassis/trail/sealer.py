"""The sealer: once a second one of a service's processes gathers the new rows of the audit trail and has them sealed."""

import asyncio
from collections.abc import Sequence
from typing import Any, Final, Self

import structlog

from chassis.clients import Clients
from chassis.context import NO_TENANT
from chassis.database.decoding import Row
from chassis.database.pipeline import Pipeline
from chassis.errors import Refusal
from chassis.events.leadership import lead, sleep_unless
from chassis.telemetry import metrics
from chassis.tokens.trust import key_set_service
from chassis.trail import batches, receipts
from chassis.trail.receipts import Receipt
from kith.common.v1.audit_pb2 import AuditBatch, SealAuditBatchesRequest, SealAuditBatchesResponse
from kith.common.v1.audit_pb2_grpc import AuditSealServiceStub

EVERY: Final = 1.0  # seconds between two looks: as long as somebody who writes to the database may change a row unseen
LAST_WORDS: Final = 5.0  # seconds that a look has to end when the process does

log = structlog.get_logger()


class Sealer:
    """Runs inside its block. `dsn` is the system role's. It writes batches whether or not anybody seals: those are sealed later."""

    def __init__(self, clients: Clients, *, dsn: str) -> None:
        self._stub: Any = AuditSealServiceStub(clients.channel(NO_TENANT, of=key_set_service()))
        self._dsn = dsn
        self._stopping = asyncio.Event()

    async def __aenter__(self) -> Self:
        self._running = asyncio.create_task(lead(self._dsn, "audit seals", self._seal, self._stopping), name="audit seals")
        return self

    async def __aexit__(self, *_: object) -> None:
        """Leave what is not sealed to the next process."""
        self._stopping.set()
        await asyncio.wait([self._running], timeout=LAST_WORDS)
        self._running.cancel()
        await asyncio.gather(self._running, return_exceptions=True)

    async def _seal(self, connection: Pipeline) -> None:
        await connection.ask(batches.BY_INDEX, {})
        while not self._stopping.is_set():
            await batches.make(connection)
            try:
                metrics.AUDIT_ROWS_SEALED.inc(await receipts.collect(connection, self._ask))
                metrics.AUDIT_LAST_SEAL.set_to_current_time()
            except Refusal as error:
                log.warning("audit_not_sealed", reason=error.reason)
            await sleep_unless(self._stopping, EVERY)

    async def _ask(self, unsealed: Sequence[Row]) -> list[Receipt]:
        request = SealAuditBatchesRequest(batches=[AuditBatch(**row) for row in unsealed])
        answer: SealAuditBatchesResponse = await self._stub.SealAuditBatches(request)
        refused = sum(not receipt.seal_number for receipt in answer.receipts)
        if refused:
            metrics.AUDIT_BATCHES_REFUSED.inc(refused)
            log.error("audit_batches_refused", count=refused)
        return [Receipt(each.seal_number, each.seal_digest) for each in answer.receipts]
