"""`kith import FILE`: a file of records, looked at, tried or run, with what failed written beside it."""

import asyncio
import json
import uuid
from collections.abc import AsyncIterator
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from stack.layout import create_private
from stack.terminal import Data, Json, console, errors, run, stop_with, tell
from stack.transfer import progress, reading, shown
from stack.transfer.kinds import Kind
from stack.transfer.mapping import MappingError, mapped
from stack.transfer.remote import Email, RefusedError, Remote, Url, reached

CHUNK: Final = 256 * 1024
POLL_SECONDS: Final = 0.3
ENDED: Final = frozenset({"IMPORT_STATE_READY", "IMPORT_STATE_SUCCEEDED", "IMPORT_STATE_FAILED", "IMPORT_STATE_CANCELLED"})
_LEFT: Final = {"IMPORT_STATE_CANCELLED": "Cancelled; nothing of it is left.", "": "Stopped; nothing was imported."}
INTERRUPTED: Final = 130
"""What shells know a command by that Ctrl-C ended."""


class Mode(StrEnum):
    """What a failed row does to the others."""

    ROW_TOLERANT = "row-tolerant"
    ALL_OR_NOTHING = "all-or-nothing"


class Duplicates(StrEnum):
    """What is done with a row whose record is there."""

    SKIP = "skip"
    UPDATE = "update"
    CREATE = "create"


_MODES: Final = {Mode.ROW_TOLERANT: "IMPORT_MODE_ROWS", Mode.ALL_OR_NOTHING: "IMPORT_MODE_ALL"}

File = Annotated[Path, typer.Argument(metavar="FILE", help="A CSV file.", exists=True, dir_okay=False, readable=True, show_default=False)]
KindOf = Annotated[Kind, typer.Option("--kind", help="What its rows are.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Do everything and keep nothing.")]
ModeOf = Annotated[Mode, typer.Option("--mode", help="Whether a row that fails leaves the others alone.")]
DuplicatesOf = Annotated[Duplicates, typer.Option("--duplicates", help="What becomes of rows whose record is there.")]
Encoding = Annotated[str, typer.Option("--encoding", help='Encoding of the file, such as "windows-1252"; detected otherwise.')]
Delimiter = Annotated[str, typer.Option("--delimiter", help='What stands between columns, "tab" for a tab; detected otherwise.')]
NoHeader = Annotated[bool, typer.Option("--no-header", help="The first row is a record, whatever it looks like.")]
CreateCompanies = Annotated[bool, typer.Option("--create-companies", help="Create the companies of contacts that are not there.")]
Map = Annotated[
    list[str] | None, typer.Option("--map", metavar="COLUMN=FIELD", help="Field of a column, none to leave it out; any number of these.")
]


def import_file(
    file: File,
    *,
    kind: KindOf = Kind.CONTACT,
    dry_run: DryRun = False,
    mode: ModeOf = Mode.ROW_TOLERANT,
    duplicates: DuplicatesOf = Duplicates.SKIP,
    create_companies: CreateCompanies = False,
    encoding: Encoding = "",
    delimiter: Delimiter = "",
    no_header: NoHeader = False,
    mapping: Map = None,
    url: Url = "",
    email: Email = "",
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Bring the rows of a file in as records; exit 1 when a row failed, 130 when Ctrl-C cancelled it."""
    how = {"mode": _MODES[mode], "duplicates": f"IMPORT_DUPLICATES_{duplicates.upper()}", "validateOnly": dry_run}
    if create_companies:
        how["companies"] = "IMPORT_COMPANIES_CREATE"
    read = reading.said(encoding, delimiter, no_header=no_header)
    run(_import(Import(file, kind, read, how, mapping or [], as_json=as_json), (data, url, email)))


async def _import(wanted: "Import", whose: tuple[Path | None, str, str]) -> None:
    try:
        async with reached(*whose) as remote:
            await wanted.run(remote)
    except (RefusedError, MappingError) as error:
        stop_with(str(error))


class Import:
    """One file on its way."""

    def __init__(self, file: Path, kind: Kind, read: dict[str, Any], how: dict[str, Any], mapping: list[str], *, as_json: bool) -> None:
        self._file = file
        self._kind = kind
        self._read = read
        self._how = how
        self._mapping = mapping
        self._as_json = as_json
        self._current: dict[str, Any] = {}

    async def run(self, remote: Remote) -> None:
        """Do all of it. Whatever ends it before its time cancels what there is."""
        try:
            await self._upload(remote)
            await self._start(remote)
            await self._watch(remote)
        except asyncio.CancelledError:
            await self._cancel(remote)
            tell(_LEFT.get(self._current.get("state", ""), "The import had ended already."))
            raise typer.Exit(INTERRUPTED) from None
        except (RefusedError, MappingError):
            await self._cancel(remote)
            raise
        beside = await self._errors(remote)
        if self._how["validateOnly"]:
            await self._cancel(remote)
        self._show(beside)

    async def _upload(self, remote: Remote) -> None:
        query = {"kind": self._kind.name_in_contract, "fileName": self._file.name}
        self._current = await remote.upload("/v1/imports:upload", self._chunks, **query)
        if self._read:
            self._current = await remote.call("POST", self._path(":reread"), json=self._read)

    async def _chunks(self) -> AsyncIterator[bytes]:
        with progress.of_bytes() as bar, self._file.open("rb") as file:
            task = bar.add_task("Sending", total=self._file.stat().st_size)
            while chunk := await asyncio.to_thread(file.read, CHUNK):
                yield chunk
                bar.advance(task, len(chunk))

    async def _start(self, remote: Remote) -> None:
        fields = mapped(self._current["columns"], self._mapping)
        for column, field in zip(self._current["columns"], fields, strict=True):
            column["field"] = field
        if not self._as_json:
            shown.detected(console, self._file, self._current)
        self._current = await remote.call("POST", self._path(":start"), json={**self._how, "fields": fields}, key=uuid.uuid4().hex)

    async def _watch(self, remote: Remote) -> None:
        with progress.of_rows() as bar:
            task = bar.add_task("Trying" if self._how["validateOnly"] else "Importing", total=None)
            while self._current["state"] not in ENDED:
                bar.update(task, total=self._current["rowCount"] or None, completed=self._report["doneCount"])
                await asyncio.sleep(POLL_SECONDS)
                self._current = await remote.call("GET", self._path())

    async def _cancel(self, remote: Remote) -> None:
        """Ask the service to undo what there is, and wait until it has."""
        if not self._current or self._current["state"] in ENDED - {"IMPORT_STATE_READY"}:
            return
        self._current = await remote.call("POST", self._path(":cancel"), json={}, key=uuid.uuid4().hex)
        while self._current["state"] not in ENDED:
            await asyncio.sleep(POLL_SECONDS)
            self._current = await remote.call("GET", self._path())

    async def _errors(self, remote: Remote) -> Path | None:
        """Write the rows that failed beside the file."""
        if not self._report["failedCount"]:
            return None
        beside = self._file.with_name(f"{self._file.name}.errors.csv")
        async with remote.download(self._path("/errors")) as answer:
            with create_private(beside) as file:
                async for chunk in answer.aiter_bytes():
                    file.write(chunk)
        return beside

    def _show(self, beside: Path | None) -> None:
        """Say what became of the rows, and end with 1 unless all is well."""
        if self._as_json:
            print(json.dumps({"import": self._current, "report": self._report, "errors": str(beside) if beside else None}))
        else:
            shown.report(console, self._report, dry_run=self._how["validateOnly"])
            if beside:
                errors.print(f"The rows that failed are in {beside}.", markup=False)
        if problem := self._current["problem"]:
            stop_with(problem)
        if beside:
            raise typer.Exit(1)

    @property
    def _report(self) -> dict[str, Any]:
        """What is known of the run so far."""
        said = self._current.get("preview" if self._how["validateOnly"] else "report") or {}
        return {name: said.get(name, 0) for name in (*shown.COUNTS, shown.COMPANIES)}

    def _path(self, behind: str = "") -> str:
        return f"/v1/imports/{self._current['id']}{behind}"
