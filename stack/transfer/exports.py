"""`kith export KIND`: the records of a view as a file."""

import re
import sys
from contextlib import suppress
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, BinaryIO, Final

import httpx
import typer
from rich.markup import escape

from stack.layout import create_private
from stack.terminal import Data, errors, run, stop_with
from stack.transfer import progress
from stack.transfer.kinds import Kind
from stack.transfer.remote import Email, RefusedError, Remote, Url, reached

STDOUT: Final = Path("-")
_NAME: Final = re.compile(r'filename="([^"]+)"')


class Format(StrEnum):
    """Forms of an exported file."""

    CSV = "csv"
    EXCEL = "excel"
    JSONL = "jsonl"


_FORMATS: Final = {Format.CSV: "EXPORT_FORMAT_CSV", Format.EXCEL: "EXPORT_FORMAT_EXCEL_CSV", Format.JSONL: "EXPORT_FORMAT_JSONL"}

KindOf = Annotated[Kind, typer.Argument(help="What to export.", show_default=False)]
Filter = Annotated[str, typer.Option("--filter", help="Which of them, such as 'status = CONTACT_STATUS_ACTIVE AND title = \"Buyer\"'.")]
OrderBy = Annotated[str, typer.Option("--order-by", help='In which order, such as "display_name" or "update_time desc".')]
Form = Annotated[Format, typer.Option("--format", help="Form of the file; excel is CSV that Excel reads as UTF-8.")]
Fields = Annotated[
    str, typer.Option("--fields", help='Columns in their order, such as "given_name,emails,address.city"; all when none is named.')
]
Deleted = Annotated[bool, typer.Option("--deleted", help="Deleted records too.")]
Output = Annotated[
    Path | None,
    typer.Option("--output", "-o", metavar="FILE", help="Where to, - for the output; a name with the date when it is not said."),
]


def export(
    kind: KindOf,
    *,
    where: Filter = "",
    order_by: OrderBy = "",
    form: Form = Format.CSV,
    fields: Fields = "",
    deleted: Deleted = False,
    output: Output = None,
    url: Url = "",
    email: Email = "",
    data: Data = None,
) -> None:
    """Write the records of a view to a file; a file that is there is complete."""
    view = {
        "filter": where,
        "orderBy": order_by,
        "fields": fields,
        "format": _FORMATS[form],
        "showDeleted": "true" if deleted else "",
    }
    run(_export(kind, view, output, (data, url, email)))


async def _export(kind: Kind, view: dict[str, str], output: Path | None, whose: tuple[Path | None, str, str]) -> None:
    try:
        async with reached(*whose) as remote:
            await _fetch(remote, kind, view, output)
    except RefusedError as error:
        stop_with(str(error))


async def _fetch(remote: Remote, kind: Kind, view: dict[str, str], output: Path | None) -> None:
    async with remote.download(f"/v1/{kind.plural}:export", **view) as answer:
        if output == STDOUT:
            await _write(answer, sys.stdout.buffer)
            return
        target = output or _named(answer)
        part = target.with_name(f"{target.name}.part")
        try:
            with create_private(part) as file:
                size = await _write(answer, file)
            part.replace(target)
        finally:
            with suppress(FileNotFoundError):
                part.unlink()
    errors.print(f"{escape(str(target))}: {size:,} bytes")


def _named(answer: httpx.Response) -> Path:
    """Return the name that the file came with; one that is taken is left alone."""
    found = _NAME.search(answer.headers.get("content-disposition", ""))
    target = Path(Path(found[1]).name if found else "export")
    if target.exists():
        stop_with(f"{target} is there already; say where to with -o")
    return target


async def _write(answer: httpx.Response, file: BinaryIO | Any) -> int:
    size = 0
    with progress.of_bytes() as bar:
        task = bar.add_task("Exporting", total=None)
        async for chunk in answer.aiter_bytes():
            file.write(chunk)
            size += len(chunk)
            bar.update(task, completed=size)
    return size
