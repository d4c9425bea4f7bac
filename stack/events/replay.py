"""`kith replay`: events that are handled again, dead letters or a stretch of a stream."""

import asyncio
import time
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Annotated, Final

import typer

from stack.events import table
from stack.events.progress import bar
from stack.events.reach import Everything, Found, Ids, Kind, Service, everywhere, print_json
from stack.terminal import Data, Json, console, run, stop_with, wiring_of
from stack.wiring import Wiring

app: Final = typer.Typer(no_args_is_help=True, help="Have events handled again.")

POLL: Final = 0.5  # seconds between two looks at what became of letters
PATIENCE: Final = 30.0  # seconds without any progress after which letters are left to be replayed later

Stream = Annotated[str, typer.Option("--stream", metavar="NAME", help="Whose events, such as identity.")]
Consumer = Annotated[str, typer.Option("--service", metavar="NAME", help="Who handles them, such as crm.")]
Since = Annotated[datetime | None, typer.Option("--since", help="Events since then (UTC); all that the stream has if left out.")]
CallOff = Annotated[bool, typer.Option("--call-off", help="End the replay that is under way where it is.")]


@app.callback()
def replay() -> None:
    """Have events handled again."""


@app.command()
def letters(
    letters: Ids = None, *, everything: Everything = False, service: Service = "", kind: Kind = "", data: Data = None, as_json: Json = False
) -> None:
    """Hand dead letters to their handlers again, once their cause is mended; exit 1 unless all went."""
    if not (letters or everything or service or kind):
        stop_with("say which: ids, --service, --type or --all")
    run(_letters(data, service, kind, letters or [], as_json=as_json))


@app.command()
def events(
    *, service: Consumer, stream: Stream, since: Since = None, kind: Kind = "", call_off: CallOff = False, data: Data = None
) -> None:
    """Have a service handle events of a stream once more, beside those that come newly; Ctrl-C leaves it running."""
    from stack.events import streams  # noqa: PLC0415 - NATS's imports are paid by the command that needs them

    wiring = wiring_of(data)
    chosen = streams.Chosen(service, stream)
    run(streams.call_off(wiring, chosen) if call_off else streams.replay(wiring, chosen, since, kind))


async def _letters(data: Path | None, service: str, kind: str, ids: list[str], *, as_json: bool) -> None:
    from chassis.events.mending import Choice, mark  # noqa: PLC0415 - its imports cost a second that the other commands need not pay

    wiring = wiring_of(data)
    marked = await everywhere(wiring, service, mark, Choice(ids=ids, type=kind))
    if ids and not marked:
        stop_with("there is no such dead letter")
    left = await _left(wiring, service, marked)
    if as_json:
        print_json(left)
    elif left:
        table.show_letters(console, left)
    if not as_json:
        console.print(f"{len(marked) - len(left)} replayed, {len(left)} left.")
    if left:
        raise typer.Exit(1)


async def _left(wiring: Wiring, service: str, marked: Sequence[Found]) -> list[Found]:
    """Wait until the letters were handed in; return those that are still there, since they failed again or nobody took them up."""
    with bar() as shown:
        task = shown.add_task("letters", total=len(marked))
        waiting, left = len(marked), list(marked)
        moved = time.monotonic()
        while waiting and time.monotonic() - moved < PATIENCE:
            await asyncio.sleep(POLL)
            left = await _still_there(wiring, service, marked)
            now_waiting = sum(each.letter.replay_at is not None for each in left)
            if now_waiting != waiting:
                waiting, moved = now_waiting, time.monotonic()
                shown.update(task, completed=len(marked) - waiting)
        return left


async def _still_there(wiring: Wiring, service: str, marked: Sequence[Found]) -> list[Found]:
    from chassis.events.mending import Choice, look  # noqa: PLC0415 - as above

    places = {each.place for each in marked}
    found = await everywhere(wiring, service, look, Choice(ids=[each.letter.id for each in marked]))
    return [each for each in found if each.place in places]
