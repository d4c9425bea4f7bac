"""Bars beside the output: people see how far it is, scripts see nothing of it."""

from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

from stack.terminal import errors


def of_bytes() -> Progress:
    """Return a bar of bytes; without a total it only moves."""
    return _bar(DownloadColumn(), TransferSpeedColumn())


def of_rows() -> Progress:
    """Return a bar of rows."""
    return _bar(MofNCompleteColumn(), TextColumn("rows"), TimeRemainingColumn())


def _bar(*columns: DownloadColumn | MofNCompleteColumn | TextColumn | TimeRemainingColumn | TransferSpeedColumn) -> Progress:
    begin = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn())
    return Progress(*begin, *columns, console=errors, transient=True, disable=not errors.is_terminal)
