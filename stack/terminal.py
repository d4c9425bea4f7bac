"""What the operator's commands share: where they print, what all of them take, and how they end."""

import asyncio
from collections.abc import Coroutine
from pathlib import Path
from typing import Annotated, Any, Final, NoReturn

import typer
from rich.console import Console
from rich.markup import escape

from stack.layout import InUseError, Layout
from stack.processes.supervisor import StartError
from stack.settings import Settings, SettingsError
from stack.state import State
from stack.wiring import Wiring

console: Final = Console(highlight=False, soft_wrap=True)
errors: Final = Console(stderr=True, highlight=False, soft_wrap=True)

Data = Annotated[Path | None, typer.Option("--data", help="Folder of keys, databases and logs; KITH_DATA, else ~/.local/state/kith.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for scripts.")]


def settings_of(data: Path | None) -> Settings:
    """Return the settings; end the command if they are wrong."""
    try:
        return Settings.load(data)
    except SettingsError as error:
        stop_with(str(error))


def wiring_of(data: Path | None) -> Wiring:
    """Return how to reach the platform that runs, be all of it ready or not; end the command if there is none."""
    settings = settings_of(data)
    state = State.load(Layout(settings.data).state)
    if state is None or state.supervisor.process() is None:
        stop_with("the platform does not run; start it with `kith up`")
    return Wiring.of(settings, state)


def run(work: Coroutine[Any, Any, None]) -> None:
    """Do the work of a command; end it with what an operator can understand of a failure."""
    try:
        asyncio.run(work)
    except (StartError, InUseError, OSError) as error:
        stop_with(str(error))


def tell(text: str) -> None:
    """Say beside the output what goes on."""
    errors.print(escape(text))


def stop_with(text: str) -> NoReturn:
    """Say what is wrong and end with 1."""
    errors.print(f"[red]{escape(text)}[/red]")
    raise typer.Exit(1)
