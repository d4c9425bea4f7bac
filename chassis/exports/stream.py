"""The stream of an export: page after page, each read in a transaction of its own and written while the reader takes the one before.

Nothing is ever held whole, and no transaction lasts. What that means for changes made meanwhile stands in docs/decisions/0027.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any, Final, Generic, TypeVar

from google.api.httpbody_pb2 import HttpBody
from google.protobuf.any_pb2 import Any as Packed
from google.protobuf.message import Message

from chassis import clock, filters, permissions, sheets
from chassis.context import current
from chassis.database import Found, unit_of_work
from chassis.errors import InvalidArgument, Reason, Violation
from chassis.exports import columns, json_lines
from chassis.listing import Ask, Listing
from chassis.mapping import Mapping
from kith.common.v1.exports_pb2 import Download, ExportFormat

ROWS: Final = 1_000
"""Rows that are read at once."""

M = TypeVar("M", bound=Message)
Write = Callable[[Found], bytes]


class Export(Generic[M]):
    """How the records of one list leave as a file. `permission` is what it takes to read them, beside that of exporting at all."""

    def __init__(self, name: str, listing: Listing, mapping: Mapping[M], *, permission: int) -> None:
        self._name = name
        self._listing = listing
        self._mapping = mapping
        self._permission = permission
        self._columns = columns.Columns(mapping.kind)

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
            found = await walk.next(work, ROWS)
        piece = HttpBody(content_type=content_type, data=head + await asyncio.to_thread(write, found), extensions=[self._download(ending)])
        sent, outcome = 0, "broken off"
        try:
            while True:
                sent += found.size
                yield piece
                if found.size < ROWS:
                    break
                async with unit_of_work() as work:
                    found = await walk.next(work, ROWS)
                piece = HttpBody(content_type=content_type, data=await asyncio.to_thread(write, found))
            outcome = "complete"
        finally:
            async with unit_of_work() as work:
                work.note(export=outcome, rows=str(sent))

    def _form(self, request: Any) -> tuple[str, str, bytes, Write]:
        """Return content type, ending, head and writer of the file. It writes in a thread, so that calls are served meanwhile."""
        paths = list(request.fields.paths)
        try:
            if request.format == ExportFormat.EXPORT_FORMAT_JSONL:
                lines = json_lines.JsonLines(self._mapping.kind, paths).lines
                return json_lines.CONTENT_TYPE, "jsonl", b"", lambda found: lines(self._mapping.json(found, found.size))
            chosen = self._columns.chosen(paths)
        except KeyError as unknown:
            text = f"{unknown.args[0]} is no field of an export"
            raise InvalidArgument(Reason.UNKNOWN_FIELD, f"fields: {text}", fields=[Violation("fields", text)]) from None
        if request.format not in ExportFormat.values():
            raise InvalidArgument(Reason.FIELD_INVALID, "format: is no format", fields=[Violation("format", "is no format")])
        mark = sheets.BYTE_ORDER_MARK if request.format == ExportFormat.EXPORT_FORMAT_EXCEL_CSV else b""
        head = mark + sheets.lines([[column.path for column in chosen]])
        return sheets.CONTENT_TYPE, "csv", head, lambda found: columns.table(chosen, [*map(self._mapping.message, found.rows())])

    def _download(self, ending: str) -> Packed:
        packed = Packed()
        packed.Pack(Download(file_name=f"{self._name}-{clock.now():%Y-%m-%d}.{ending}"))
        return packed
