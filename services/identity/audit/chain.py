"""The chains: batches of services become links, one behind the other, signed with the key for seals."""

import asyncio
from collections.abc import Sequence

from chassis import clock
from chassis.context import NO_TENANT
from chassis.database.pipeline import Pipeline
from chassis.database.pool import connected
from chassis.database.session import Session
from services.identity.audit import rules, signatures, store
from services.identity.audit.rules import Batch, Seal
from services.identity.keys.keyring import Keyring, Keys


class Chain:
    """Adds to the chains of all tenants, over one connection of the system role."""

    def __init__(self, keyring: Keyring, *, dsn: str) -> None:
        self._keyring = keyring
        self._dsn = dsn
        self._turn = asyncio.Lock()
        self._connection: Pipeline | None = None

    def close(self) -> None:
        """Give the connection up."""
        if self._connection is not None:
            self._connection.close()

    async def seal(self, service: str, batches: Sequence[Batch]) -> list[Seal | None]:
        """Return the seals of batches: those that they have, or new ones; None where another batch has the number."""
        keys = await self._keyring.current()
        async with self._turn:
            if self._connection is None or self._connection.lost:
                self._connection = await connected(self._dsn)
            try:
                return await _seal(Session(self._connection, NO_TENANT), keys, service, batches)
            except BaseException:
                self._connection.close()  # what was begun is undone
                raise


async def _seal(session: Session, keys: Keys, service: str, batches: Sequence[Batch]) -> list[Seal | None]:
    store.take_turn(session)
    known = await store.known(session, service, batches)
    ends = await store.ends(session, sorted({batch.tenant_id for batch in batches}))
    new = [batch for batch in batches if (batch.tenant_id, batch.number) not in known]
    made = await asyncio.to_thread(_made, new, ends, service, keys)
    if made:
        await store.add(session, made)
    await session.commit()
    known.update({(seal.tenant_id, seal.batch_number): seal for seal in made})
    return [_of(batch, known[batch.tenant_id, batch.number]) for batch in batches]


def _made(batches: Sequence[Batch], ends: dict[str, Seal], service: str, keys: Keys) -> list[Seal]:
    made: list[Seal] = []
    now = clock.now()
    for batch in batches:
        seal = rules.following(ends.get(batch.tenant_id), batch, service=service, now=now, kid=str(keys.sealer.kid))
        seal = rules.signed(seal, signatures.sign(rules.content(seal), keys.sealer))
        ends[batch.tenant_id] = seal
        made.append(seal)
    return made


def _of(batch: Batch, seal: Seal) -> Seal | None:
    return seal if (seal.root, seal.row_count) == (batch.root, batch.row_count) else None
