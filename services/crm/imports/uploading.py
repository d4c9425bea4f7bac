"""How a file comes in: piece by piece into rows of the database, looked at as it passes by."""

from collections.abc import AsyncIterator

import stamina

from chassis import ids, texts
from chassis.database import failures, unit_of_work
from chassis.errors import InvalidArgument, Violation, raise_for
from chassis.records import begin
from kith.crm.v1.imports_pb2 import Import, ImportState, UploadImportRequest
from kith.crm.v1.parts_pb2 import RecordKind
from services.crm.imports import actions, columns, reading, rules, store
from services.crm.imports.failure import FileError
from services.crm.imports.sniff import Sniffer
from services.crm.reasons import Reason
from services.crm.records import permissions
from services.crm.runs import actions as runs


async def receive(pieces: AsyncIterator[UploadImportRequest]) -> Import:
    """Keep a file and return what was found in it; keep nothing of one that cannot be imported."""
    first = await anext(pieces, UploadImportRequest())
    current = await _begin(first)
    try:
        return await _receive(current, first, pieces)
    except FileError as error:
        await _drop(current.id)
        raise InvalidArgument(Reason.IMPORT_FILE_REFUSED, str(error), fields=[Violation("content", str(error))]) from None


async def _begin(first: UploadImportRequest) -> Import:
    raise_for(_check(first))
    async with unit_of_work() as work:
        permissions.must_write(work.caller, first.kind)
        current = Import(kind=first.kind, file_name=first.file_name.strip(), creator_id=work.caller.user_id)
        current.state = ImportState.IMPORT_STATE_UPLOADING
        begin(current, ids.new(), work.now)
        await store.STORE.insert(work, current)
        await runs.ask(work, actions.FORGET, current.id, after=rules.UNUSED)
    return current


def _check(first: UploadImportRequest) -> list[Violation]:
    found = list(texts.check("file_name", first.file_name, rules.NAME_LENGTH))
    if first.kind not in columns.FIELDS:
        found.append(Violation("kind", f"must be one of {', '.join(RecordKind.Name(kind) for kind in columns.FIELDS)}"))
    return found


async def _receive(current: Import, first: UploadImportRequest, pieces: AsyncIterator[UploadImportRequest]) -> Import:
    sniffer = Sniffer()
    number, buffer = 0, bytearray()
    async for data in _bytes(first, pieces):
        sniffer.feed(data)
        if sniffer.size > rules.MOST_BYTES:
            raise FileError(f"the file is larger than {rules.MOST_BYTES // 1024**2} MiB")
        buffer += data
        while len(buffer) >= rules.CHUNK:
            number += 1
            await _keep(current.id, number, bytes(buffer[: rules.CHUNK]))
            del buffer[: rules.CHUNK]
    if buffer:
        await _keep(current.id, number + 1, bytes(buffer))
    return await _complete(current.id, sniffer)


async def _bytes(first: UploadImportRequest, pieces: AsyncIterator[UploadImportRequest]) -> AsyncIterator[bytes]:
    yield first.content.data
    async for piece in pieces:
        yield piece.content.data


async def _complete(import_id: str, sniffer: Sniffer) -> Import:
    sheet = sniffer.sheet()
    async with unit_of_work() as work:
        current = await actions.locked(work, import_id)
        current.size = sniffer.size
        reading.take_over(current, sheet)
        await actions.step(work, current, ImportState.IMPORT_STATE_READY)
    return current


async def _keep(import_id: str, number: int, data: bytes) -> None:
    """Keep a piece. While the database is busy or away its sender is held up: one of many pieces shall not cost the whole file."""
    async for attempt in stamina.retry_context(_passes, attempts=None, timeout=rules.PATIENCE, wait_initial=0.1, wait_max=2):
        with attempt:
            async with unit_of_work() as work:
                await store.add_chunk(work, import_id, number, data)


def _passes(error: Exception) -> bool:
    """Say whether an error is the database's, at the moment, and no fault of the file or ours."""
    return failures.refusal(error) is not None


async def _drop(import_id: str) -> None:
    async with unit_of_work() as work:
        await store.STORE.delete(work, import_id)
