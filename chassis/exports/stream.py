"""The stream of an export: page after page, each read in a transaction of its own and written while the reader takes the one before.

Nothing is ever held whole, and no transaction lasts. What that means for changes made meanwhile stands in docs/decisions/0027.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any, Final, Generic, TypeVar

from google.api.httpbody_pb2 import HttpBody
from google.protobuf.any_pb2 import Any as Packed
from google.protobuf.message import Message

from chassis import clock, filters, permissions, sheets
from chassis.context import current
from chassis.database import Row, unit_of_work
from chassis.errors import InvalidArgument, Reason, Violation
from chassis.exports import columns, json_lines
from chassis.listing import Ask, Listing
from kith.common.v1.exports_pb2 import Download, ExportFormat

ROWS: Final = 1_000
"""Rows that are read at once."""

M = TypeVar("M", bound=Message)
Write = Callable[[Sequence[Any]], bytes]


class Export(Generic[M]):
    """How the records of one list leave as a file. `permission` is what it takes to read them, beside that of exporting at all."""

    def __init__(self, name: str, kind: type[M], listing: Listing, message: Callable[[Row], M], *, permission: int) -> None:
        self._name = name
        self._kind = kind
        self._listing = listing
        self._message = message
        self._permission = permission
        self._columns = columns.Columns(kind)

    async def pieces(self, request: Any) -> AsyncIterator[HttpBody]:
        """Yield the file that a request asks for: a view as a list has it, and beside it `format` and `fields`.

        Refuses, before the first piece, what a list refuses, and fields and formats that are none.
        """
        caller = current().caller
        permissions.must(caller, self._permission)
        content_type, ending, head, write = self._form(request)
        ask = Ask.of(request)
        walk = self._listing.walk(ask)
        async with unit_of_work() as work:
            view = filters.outline(self._listing.filters.read(ask.filter).shape)
            work.note(export="begun", filter=view, orderBy=ask.order_by, fields=",".join(request.fields.paths), format=ending)
            rows = await walk.next(work, ROWS)
        piece = HttpBody(content_type=content_type, data=head + await self._written(write, rows), extensions=[self._download(ending)])
        sent, outcome = 0, "broken off"
        try:
            while True:
                sent += len(rows)
                yield piece
                if len(rows) < ROWS:
                    break
                async with unit_of_work() as work:
                    rows = await walk.next(work, ROWS)
                piece = HttpBody(content_type=content_type, data=await self._written(write, rows))
            outcome = "complete"
        finally:
            async with unit_of_work() as work:
                work.note(export=outcome, rows=str(sent))

    async def _written(self, write: Write, rows: Sequence[Row]) -> bytes:
        """Write rows in a thread, so that calls are served meanwhile."""
        return await asyncio.to_thread(lambda: write([self._message(row) for row in rows]))

    def _form(self, request: Any) -> tuple[str, str, bytes, Write]:
        """Return content type, ending, head and writer of the file."""
        paths = list(request.fields.paths)
        try:
            if request.format == ExportFormat.EXPORT_FORMAT_JSONL:
                return json_lines.CONTENT_TYPE, "jsonl", b"", json_lines.JsonLines(self._kind, paths).lines
            chosen = self._columns.chosen(paths)
        except KeyError as unknown:
            text = f"{unknown.args[0]} is no field of an export"
            raise InvalidArgument(Reason.UNKNOWN_FIELD, f"fields: {text}", fields=[Violation("fields", text)]) from None
        if request.format not in ExportFormat.values():
            raise InvalidArgument(Reason.FIELD_INVALID, "format: is no format", fields=[Violation("format", "is no format")])
        mark = sheets.BYTE_ORDER_MARK if request.format == ExportFormat.EXPORT_FORMAT_EXCEL_CSV else b""
        head = mark + sheets.lines([[column.path for column in chosen]])
        return sheets.CONTENT_TYPE, "csv", head, lambda messages: columns.table(chosen, messages)

    def _download(self, ending: str) -> Packed:
        packed = Packed()
        packed.Pack(Download(file_name=f"{self._name}-{clock.now():%Y-%m-%d}.{ending}"))
        return packed
