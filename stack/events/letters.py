"""`kith dead-letters`: events that a consumer could not handle, and what is known of each but its content."""

from pathlib import Path
from typing import Annotated, Final

import typer

from stack.events import table
from stack.events.reach import Everything, Found, Ids, Kind, Service, everywhere, print_json
from stack.terminal import Data, Json, console, run, stop_with, wiring_of

app: Final = typer.Typer(invoke_without_command=True)

Id = Annotated[str, typer.Argument(metavar="ID", help="Id of a letter.", show_default=False)]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]


@app.callback()
def every(context: typer.Context, *, service: Service = "", kind: Kind = "", data: Data = None, as_json: Json = False) -> None:
    """Show events that could not be handled; `kith replay letters` has them handled again."""
    if context.invoked_subcommand is None:
        run(_every(data, service, kind, as_json=as_json))


async def _every(data: Path | None, service: str, kind: str, *, as_json: bool) -> None:
    found = await _look(data, service, kind, [])
    if as_json:
        print_json(found)
    else:
        table.show_letters(console, found)


@app.command()
def show(letter: Id, *, service: Service = "", data: Data = None, as_json: Json = False) -> None:
    """Show what is known of one letter."""
    run(_show(data, service, letter, as_json=as_json))


async def _show(data: Path | None, service: str, letter: str, *, as_json: bool) -> None:
    found = await _look(data, service, "", [letter])
    if not found:
        stop_with(f"there is no dead letter {letter}")
    if as_json:
        print_json(found)
    else:
        table.show_each(console, found)


@app.command()
def discard(
    letters: Ids = None, *, everything: Everything = False, service: Service = "", kind: Kind = "", yes: Yes = False, data: Data = None
) -> None:
    """Delete letters for good: what their events tell has no effect any more."""
    if not (letters or everything or service or kind):
        stop_with("say which: ids, --service, --type or --all")
    run(_discard(data, service, kind, letters or [], sure=yes))


async def _discard(data: Path | None, service: str, kind: str, letters: list[str], *, sure: bool) -> None:
    from chassis.events.mending import Choice, discard  # noqa: PLC0415 - as below

    found = await _look(data, service, kind, letters)
    table.show_letters(console, found)
    if not found or not (sure or typer.confirm("Delete for good?", err=True)):
        return
    gone = await everywhere(wiring_of(data), service, discard, Choice(ids=[each.letter.id for each in found]))
    console.print(f"{len(gone)} deleted.")


async def _look(data: Path | None, service: str, kind: str, letters: list[str]) -> list[Found]:
    from chassis.events.mending import Choice, look  # noqa: PLC0415 - its imports cost a second that the other commands need not pay

    return await everywhere(wiring_of(data), service, look, Choice(ids=letters, type=kind))
