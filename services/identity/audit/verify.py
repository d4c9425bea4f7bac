"""Verification: along the chain, stretch by stretch, each link against the batch that its service holds, to the first break."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from google.protobuf.empty_pb2 import Empty
from google.protobuf.timestamp_pb2 import Timestamp

from chassis.clients import Clients
from chassis.database import unit_of_work
from kith.common.v1.audit_pb2 import (
    AuditBatch,
    AuditFlaw,
    AuditFlawKind,
    AuditReceipt,
    CheckAuditBatchesRequest,
    CheckAuditBatchesResponse,
    CheckAuditEndResponse,
)
from kith.common.v1.audit_pb2_grpc import AuditTrailServiceStub
from services.identity.audit import rules, signatures, store
from services.identity.audit.rules import Seal
from services.identity.keys.keyring import Keyring

LINKS: Final = 2_000  # seals in one stretch at the most
ROWS: Final = 20_000  # rows that their batches hold at the most, unless one alone holds more
SECONDS: Final = 5.0  # after which one answer ends, to be continued


class Known(NamedTuple):
    """A seal that somebody outside kept; number 0 for none."""

    number: int = 0
    digest: str = ""


@dataclass(kw_only=True)
class Position:
    """How far a verification is: the last good seal, the rows up to it, and the last batch of each service."""

    number: int = 0
    digest: bytes = rules.BEGINNING
    row_count: int = 0
    batches: dict[str, int] = field(default_factory=dict)

    def move(self, seal: Seal) -> None:
        """Go on to the next good seal."""
        self.number, self.digest = seal.number, rules.digest(seal)
        self.row_count += seal.row_count
        self.batches[seal.service] = seal.batch_number


class Unsealed(NamedTuple):
    """Rows at the end that no seal covers so far, and since when the first waits for one."""

    row_count: int = 0
    since: Timestamp | None = None


class Verified(NamedTuple):
    """What was found: the first flaw if there is any, whether the end was reached, and what waits there."""

    flaw: AuditFlaw | None
    complete: bool
    unsealed: Unsealed = Unsealed()


class Verification:
    """One tenant's trail, from a position on."""

    def __init__(self, clients: Clients, keyring: Keyring, services: Iterable[str], tenant_id: str, known: Known) -> None:
        self._stubs: Mapping[str, Any] = {name: AuditTrailServiceStub(clients.channel(tenant_id, of=name)) for name in sorted(services)}
        self._keyring = keyring
        self._known = known

    async def run(self, position: Position) -> Verified:
        """Go on for some seconds, or up to the first flaw; the position goes along."""
        walked = await self._walk(position)
        if not walked.complete:
            return walked
        ends = await self._ends()
        walked = await self._walk(position)  # what was sealed while the services answered
        if not walked.complete:
            return walked
        return Verified(await self._end(position, ends), complete=True, unsealed=_unsealed(ends.values()))

    async def _walk(self, position: Position) -> Verified:
        until = asyncio.get_running_loop().time() + SECONDS
        while seals := await self._next(position):
            flaw = await self._stretch(position, seals)
            if flaw or asyncio.get_running_loop().time() > until:
                return Verified(flaw, complete=False)
        return Verified(None, complete=True)

    async def _next(self, position: Position) -> list[Seal]:
        async with unit_of_work() as work:
            seals = await store.after(work, position.number, LINKS)
        rows, some = 0, 0
        for seal in seals:
            rows += seal.row_count
            if some and rows > ROWS:
                break
            some += 1
        return seals[:some]

    async def _stretch(self, position: Position, seals: Sequence[Seal]) -> AuditFlaw | None:
        """Return the first flaw among the seals and their batches."""
        count = rules.linked(position.number, position.digest, seals)
        trusted = await self._signed(seals[:count])
        bad = None if len(trusted) == len(seals) else _not_linked(position.number + len(trusted) + 1, seals[len(trusted)])
        return await self._against_batches(position, trusted) or bad

    async def _signed(self, seals: Sequence[Seal]) -> Sequence[Seal]:
        """Return the seals up to the last that is vouched for: a signature stands for all before it, so mostly one is looked at."""
        if not seals or await self._holds(seals[-1]):
            return seals
        for nth, seal in enumerate(seals):
            if not await self._holds(seal):
                return seals[:nth]
        return seals

    async def _holds(self, seal: Seal) -> bool:
        key = (await self._keyring.current(seal.kid)).seals.get(seal.kid)
        return key is not None and await asyncio.to_thread(signatures.holds, rules.content(seal), seal.signature, key)

    async def _against_batches(self, position: Position, seals: Sequence[Seal]) -> AuditFlaw | None:
        found = await self._checked(seals)
        for seal in seals:
            checked, flaw = found.get(seal.service, (None, None))
            wrong = self._unlike_known(seal) or _unlike_batch(position, seal, checked) or _of_batch(flaw, seal)
            if wrong:
                return wrong
            position.move(seal)
        return None

    async def _checked(self, seals: Sequence[Seal]) -> Mapping[str, "_Checked"]:
        """Ask each service for its batches, all at once."""
        ranges: dict[str, list[int]] = {}
        for seal in seals:
            ranges.setdefault(seal.service, []).append(seal.batch_number)
        asked = [name for name in ranges if name in self._stubs]
        requests = [CheckAuditBatchesRequest(first=min(ranges[name]), last=max(ranges[name])) for name in asked]
        calls = (self._stubs[name].CheckAuditBatches(request) for name, request in zip(asked, requests, strict=True))
        return {name: _batches(answer) for name, answer in zip(asked, await asyncio.gather(*calls), strict=True)}

    def _unlike_known(self, seal: Seal) -> AuditFlaw | None:
        if seal.number == self._known.number and rules.digest(seal).hex() != self._known.digest:
            return _flaw(AuditFlawKind.AUDIT_FLAW_KIND_SEAL_CHANGED, seal)
        return None

    async def _ends(self) -> Mapping[str, CheckAuditEndResponse]:
        answers = await asyncio.gather(*(stub.CheckAuditEnd(Empty()) for stub in self._stubs.values()))
        return dict(zip(self._stubs, answers, strict=True))

    async def _end(self, position: Position, ends: Mapping[str, CheckAuditEndResponse]) -> AuditFlaw | None:
        """Return what is wrong behind the last seal: rows that were left out, or a chain that was longer once."""
        if self._known.number > position.number:
            return AuditFlaw(kind=AuditFlawKind.AUDIT_FLAW_KIND_SEAL_MISSING, seal_number=position.number + 1)
        for service, end in ends.items():
            flaw = await self._unlike_receipt(position, service, end.last_receipt) or _beyond_chain(position, service, end.last_batch)
            if flaw or end.HasField("flaw"):
                return flaw or end.flaw
        return None

    async def _unlike_receipt(self, position: Position, service: str, receipt: AuditReceipt) -> AuditFlaw | None:
        if not receipt.seal_number:
            return None
        async with unit_of_work() as work:
            seal = await store.get(work, receipt.seal_number)
        if seal is None:
            missing = AuditFlawKind.AUDIT_FLAW_KIND_SEAL_MISSING
            return AuditFlaw(kind=missing, service=service, seal_number=min(position.number + 1, receipt.seal_number))
        if rules.digest(seal) != receipt.seal_digest:
            return _flaw(AuditFlawKind.AUDIT_FLAW_KIND_SEAL_CHANGED, seal)
        return None


_Checked = tuple[Mapping[int, AuditBatch] | None, AuditFlaw | None]
"""Batches as their service finds them now, by number, and the flaw in the last of them."""


def _batches(answer: CheckAuditBatchesResponse) -> _Checked:
    return {each.number: each for each in answer.batches}, answer.flaw if answer.HasField("flaw") else None


def _unlike_batch(position: Position, seal: Seal, checked: Mapping[int, AuditBatch] | None) -> AuditFlaw | None:
    expected = position.batches.get(seal.service, 0) + 1
    if seal.batch_number != expected:
        return _flaw(AuditFlawKind.AUDIT_FLAW_KIND_BATCH_MISSING, seal, batch_number=expected)
    batch = (checked or {}).get(seal.batch_number)
    if batch is None:
        return _flaw(AuditFlawKind.AUDIT_FLAW_KIND_BATCH_MISSING, seal)
    if (batch.root, batch.row_count) != (seal.root, seal.row_count):
        return _flaw(AuditFlawKind.AUDIT_FLAW_KIND_BATCH_CHANGED, seal)
    return None


def _beyond_chain(position: Position, service: str, last_batch: int) -> AuditFlaw | None:
    """Return what is wrong if a service counts a batch as sealed that the chain does not reach."""
    if last_batch <= position.batches.get(service, 0):
        return None
    missing = AuditFlawKind.AUDIT_FLAW_KIND_SEAL_MISSING
    return AuditFlaw(kind=missing, service=service, seal_number=position.number + 1, batch_number=last_batch)


def _unsealed(ends: Iterable[CheckAuditEndResponse]) -> Unsealed:
    waiting = [end for end in ends if end.unsealed_row_count]
    since = min((end.oldest_unsealed_time for end in waiting), key=Timestamp.ToNanoseconds, default=None)
    return Unsealed(sum(end.unsealed_row_count for end in waiting), since)


def _of_batch(flaw: AuditFlaw | None, seal: Seal) -> AuditFlaw | None:
    """Return the flaw if it is in the seal's batch."""
    if flaw is None or flaw.batch_number != seal.batch_number:
        return None
    flaw.seal_number = seal.number
    return flaw


def _not_linked(expected: int, seal: Seal) -> AuditFlaw:
    """Return what is wrong with a seal that does not follow the one before it, or is not signed."""
    if seal.number > expected:
        return AuditFlaw(kind=AuditFlawKind.AUDIT_FLAW_KIND_SEAL_MISSING, seal_number=expected)
    return _flaw(AuditFlawKind.AUDIT_FLAW_KIND_SEAL_CHANGED, seal)


def _flaw(kind: AuditFlawKind.ValueType, seal: Seal, *, batch_number: int = 0) -> AuditFlaw:
    time = Timestamp()
    time.FromDatetime(seal.seal_time)
    return AuditFlaw(kind=kind, service=seal.service, seal_number=seal.number, batch_number=batch_number or seal.batch_number, time=time)
