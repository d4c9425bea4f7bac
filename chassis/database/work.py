"""The unit of work: one transaction of one tenant. Rows, events, trail and answer are kept together or not at all."""

import asyncio
from collections.abc import AsyncIterator, Collection, Coroutine, Mapping
from contextlib import AbstractContextManager, asynccontextmanager, nullcontext
from datetime import datetime
from time import perf_counter
from typing import Any, Final, TypeVar

from google.protobuf.message import Message

from chassis import clock, etags, turns
from chassis.context import Caller, Request, current
from chassis.database import audit, outbox, replays
from chassis.database.decoding import Found, Row
from chassis.database.pool import Database
from chassis.database.session import Question, Session
from chassis.database.statements import Query
from chassis.database.subject_keys import Keys
from chassis.errors import Aborted, Reason
from chassis.sealing.keys import SubjectKey
from chassis.telemetry import metrics, tracing

M = TypeVar("M", bound=Message)

FIRST: Final = 1
"""The version of a record that is new."""


class UnitOfWork:
    """What a handler reads and writes through; made by `unit_of_work`. Not shared between tasks."""

    def __init__(self, request: Request, tenant_id: str, database: Database) -> None:
        self.request = request
        self.tenant_id = tenant_id
        self.now: datetime = clock.now()
        self._database = database
        self._session: Session | None = None
        self._events: list[outbox.Entry] = []
        self._trail: list[audit.Entry] = []
        self._answer: Message | None = None
        self._kept = True
        self._told = False
        self._own_keys: Keys | None = None
        self._noted = False

    @property
    def caller(self) -> Caller:
        """Return whom the call is made by."""
        return self.request.caller

    async def all(self, query: Query, **values: Any) -> list[Row]:
        """Return every row of the statement."""
        return (await self.find(query, **values)).rows()

    async def find(self, query: Query, **values: Any) -> Found:
        """Return what the statement finds, its values not read yet: of such rows the chassis makes answers."""
        with _span(query):
            if self._session is None and query.reads:
                return await self._database.find(self.tenant_id, query, values)
            return (await (await self._transaction()).ask(query, values)).found()

    async def first(self, query: Query, **values: Any) -> Row | None:
        """Return the first row of the statement, None if there is none."""
        rows = await self.all(query, **values)
        return rows[0] if rows else None

    async def ask(self, query: Query, **values: Any) -> Question:
        """Send a statement whose rows are waited for later. It sees what was written before it, and nothing that comes behind it."""
        with _span(query):
            return (await self._transaction()).begin(query, values)

    async def run(self, query: Query, **values: Any) -> int:
        """Run a statement that answers with no rows; return how many it touched."""
        with _span(query):
            return (await (await self._transaction()).ask(query, values)).touched

    async def send(self, query: Query, **values: Any) -> None:
        """Run a statement that answers with nothing; should it fail, that shows at a later one or at the commit."""
        with _span(query):
            (await self._transaction()).put(query, values)

    def publish(self, event: Message, *, before: Message | None = None) -> None:
        """Put an event into the outbox and the change that it tells of into the audit trail."""
        entry = outbox.entry(event, request=self.request, tenant_id=self._tenant(), now=self.now)
        self._events.append(entry)
        self._trail.append(audit.of_event(event, entry, before))

    async def forget(self, *subjects: str) -> None:
        """Destroy the keys of records, so that nobody can read any more what was published about the persons in them."""
        await self.flush()
        await self._keys.destroy(subjects)

    async def keys_of(self, subjects: Collection[str]) -> Mapping[str, SubjectKey]:
        """Return the keys of those records of the tenant that have one."""
        return await self._keys.find(subjects)

    def note(self, resource_id: str = "", **facts: str) -> None:
        """Put the call itself into the audit trail, with facts that are neither secret nor personal."""
        self._tenant()
        self._trail.append(audit.of_call(self.request, resource_id, facts))

    def answer(self, message: M) -> M:
        """Return the message, and keep it as what a repeated idempotency key is answered with."""
        self._answer = message
        return message

    def keep_nothing(self) -> None:
        """Roll back at the end although nothing went wrong: the call only asks what would happen."""
        self._kept = False

    async def check_etag(self, resource_id: str, stored: str, given: str) -> None:
        """Refuse a stale etag with ETAG_MISMATCH, which names who changed which fields since that version (CRM-3)."""
        if etags.fits(stored, given):
            return
        rows = await self.all(audit.SINCE, resource_id=resource_id, version=etags.version(given))
        raise Aborted(
            Reason.ETAG_MISMATCH,
            "the record changed since it was read",
            etag=stored,
            changedBy=audit.actors(rows),
            changedFields=audit.fields(rows),
        )

    async def start(self) -> None:
        """Claim the idempotency key of the call; a repeated one is answered when the first question is asked, or at the commit."""
        if self.tenant_id and self.request.idempotency is not None:
            session = await self._transaction()
            replays.begin(session, self.request, self.tenant_id)
            # A handler that asks something at once sends this with it; one that does not takes its key all the same.
            asyncio.get_running_loop().call_soon(session.pipeline.flush)

    async def finish(self) -> None:
        """Write what was said beside the rows, and commit; all of it in one round trip."""
        if not self._kept:
            await _to_the_end(self.abandon())
            return
        if self.tenant_id:
            if not self._noted:
                audit.complete(self._trail, self.request)
            await self.flush()
            await self._write(replays.insert(self.request, self._answer, self.now))
        if self._session is not None:
            await self._commit(self._session)
        self.request.noted = self.request.noted or self._noted

    async def abandon(self) -> None:
        """Keep nothing, and give the connection back."""
        if self._own_keys is not None:
            self._own_keys.rolled_back()
        if self._session is not None:
            try:
                await self._session.rollback()
            finally:
                self._give()

    async def flush(self) -> None:
        """Write the events and the trail so far, so that a long unit of work holds little; they are kept with it or not at all."""
        await self._write(outbox.insert(await self._sealed_events(), self.tenant_id))
        await turns.give_way()
        await self._write(audit.insert(self._trail, self.request, self.now))
        self._told = self._told or bool(self._events)
        self._noted = self._noted or bool(self._trail)
        self._events.clear()
        self._trail.clear()

    @property
    def _keys(self) -> Keys:
        if self._own_keys is None:
            memory = self.request.database.keys if self.request.database else None
            if memory is None:
                raise LookupError("this process has no key under which personal data could be sealed")
            self._own_keys = Keys(memory, self._tenant(), self)
        return self._own_keys

    async def _sealed_events(self) -> list[outbox.Entry]:
        """Return the events with their personal parts encrypted, each under the key of its record."""
        subjects = {each.key for each in self._events if each.personal}
        if not subjects:
            return self._events
        new = {each.key for each in self._events if each.version == FIRST}
        keys = await self._keys.of({subject: subject in new for subject in subjects})
        return await turns.mapped(lambda each: outbox.sealed(each, keys[each.key], self.tenant_id) if each.personal else each, self._events)

    async def _write(self, statement: tuple[Query, dict[str, Any]] | None) -> None:
        if statement is not None:
            query, values = statement
            await self.send(query, **values)

    async def _commit(self, session: Session) -> None:
        """Keep all. Once that is asked for it is waited for, whoever goes away meanwhile."""
        answered = session.commit()
        cancelled = await _outlast(answered)
        try:
            session.committed(answered.result())
            self._give()
            if self._own_keys is not None:
                self._own_keys.committed()
            if self._told:
                outbox.poke()
        finally:
            if cancelled is not None:
                raise cancelled

    async def _transaction(self) -> Session:
        """Return the transaction, which begins here with the first statement that does more than read."""
        if self._session is None:
            pipeline = await self._database.take()
            try:
                self._session = Session(pipeline, self.tenant_id)
            except BaseException:
                self._database.give(pipeline)
                raise
        return self._session

    def _give(self) -> None:
        if self._session is not None:
            self._database.give(self._session.pipeline)
            self._session = None

    def _tenant(self) -> str:
        if not self.tenant_id:
            raise LookupError("a unit of work without a tenant can neither publish nor leave a trail")
        return self.tenant_id


_NO_SPAN: Final = nullcontext()


def _span(query: Query) -> AbstractContextManager[object]:
    """Return the span of a statement, where somebody will see it: its text has placeholders where the values stand."""
    if not tracing.current().recorded:
        return _NO_SPAN
    span = tracing.call(query.verb)
    span.set("db.system.name", "postgresql")
    span.set("db.query.text", query.sql)
    return span


@asynccontextmanager
async def unit_of_work(tenant_id: str | None = None) -> AsyncIterator[UnitOfWork]:
    """Open the transaction of the current call, for the caller's tenant unless another one is named.

    It commits at the end of the block and rolls back when the block raises. A commit that has begun is waited for even
    when the caller went away, so that no connection goes back in an unknown state.
    """
    request = current()
    database = request.database
    if database is None:
        raise LookupError("this process has no database")
    work = UnitOfWork(request, request.caller.tenant_id if tenant_id is None else tenant_id, database)
    started = perf_counter()
    try:
        await work.start()
        yield work
        await work.finish()
    except BaseException as failure:
        lasted = perf_counter() - started
        told: BaseException = failure
        try:
            await _to_the_end(work.abandon())
            told = await replays.told(failure, database, request, work.tenant_id)
        finally:
            metrics.db_client_operation(request.operation, type(told).__name__).observe(lasted)
        if told is failure:
            raise
        raise told from None
    metrics.db_client_operation(request.operation).observe(perf_counter() - started, tracing.current().exemplar)


async def _to_the_end(step: Coroutine[Any, Any, None]) -> None:
    """Wait for the step however often this task is cancelled meanwhile; then be cancelled."""
    task = asyncio.ensure_future(step)
    cancelled = await _outlast(task)
    if cancelled is not None:
        raise cancelled from task.exception()
    task.result()


async def _outlast(step: asyncio.Future[Any]) -> asyncio.CancelledError | None:
    """Wait until a step is done however often this task is cancelled meanwhile; return the last of these cancellations.

    Twice is common: the deadline of the caller and the one that stands here end at the same moment.
    """
    cancelled: asyncio.CancelledError | None = None
    while not step.done():
        try:
            await asyncio.wait([step])
        except asyncio.CancelledError as error:
            cancelled = error
    return cancelled
