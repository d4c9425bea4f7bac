"""The chassis's own jobs: they forget what is kept for a while in each service's database."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from sqlalchemy import ColumnElement, Table, func, select, tuple_

from chassis.database.pool import pipeline
from chassis.database.statements import Query
from chassis.database.system_tables import idempotency, inbox, outbox
from chassis.jobs.worker import Job

BATCH: Final = 5_000  # rows deleted in one transaction
EVENTS_KEPT: Final = timedelta(days=31)
"""Longer than streams keep events: an inbox that forgot earlier would take a replayed event for a new one."""


def _deletion(table: Table, key: Sequence[str], due: ColumnElement[bool]) -> Query:
    columns = tuple_(*(table.c[name] for name in key))
    return Query(table.delete().where(columns.in_(select(*(table.c[name] for name in key)).where(due).limit(BATCH))))


_IDEMPOTENCY: Final = _deletion(idempotency, ("tenant_id", "principal", "method", "key"), idempotency.c.expires_at < func.now())
_INBOX: Final = _deletion(inbox, ("consumer", "message_id"), inbox.c.received_at < func.now() - EVENTS_KEPT)
_OUTBOX: Final = _deletion(outbox, ("seq",), outbox.c.published_at < func.now() - EVENTS_KEPT)


class Purge:
    """Deletes what is due in batches, as the system role."""

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn

    def jobs(self) -> list[Job]:
        """Return when each table is purged: by the hour, not all at once."""
        return [Job(self.purge_idempotency, "7 * * * *"), Job(self.purge_inbox, "22 * * * *"), Job(self.purge_outbox, "37 * * * *")]

    async def purge_idempotency(self) -> None:
        """Forget answers to idempotency keys that expired."""
        await self._delete(_IDEMPOTENCY)

    async def purge_inbox(self) -> None:
        """Forget which events were handled, once they cannot come again."""
        await self._delete(_INBOX)

    async def purge_outbox(self) -> None:
        """Forget events that were published long ago; one that is not published stays for ever."""
        await self._delete(_OUTBOX)

    async def _delete(self, deletion: Query) -> None:
        async with pipeline(self._dsn) as connection:
            while (await connection.ask(deletion, {})).touched == BATCH:
                continue
