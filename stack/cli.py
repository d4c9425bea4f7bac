"""The operator's command."""

import asyncio
import json
import time
from collections.abc import Callable
from typing import Annotated, Final

import typer
from rich.markup import escape

from stack import audit, leftovers, mail, table
from stack import doctor as doctors
from stack.demo.account import Demo
from stack.events import letters, replay
from stack.launch import Platform, backing, running
from stack.layout import Layout
from stack.lifetime import until_asked
from stack.settings import Settings
from stack.state import State
from stack.terminal import Data, Json, console, run, settings_of, stop_with, tell
from stack.transfer import exports, imports
from stack.waiting import survivors
from stack.wiring import Wiring

app: Final = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help="Run and look after Kith.")
app.add_typer(letters.app, name="dead-letters")
app.add_typer(replay.app, name="replay")
app.add_typer(audit.app, name="audit")
app.add_typer(mail.app, name="mail")
app.command("import")(imports.import_file)
app.command()(exports.export)

DOWN_SECONDS: Final = 300.0

Seed = Annotated[bool, typer.Option("--seed/--no-seed", help="Make the demo organisation at the first start.")]
Announce = Callable[[Platform, Demo | None, float], None]
EndsWith = Annotated[int | None, typer.Option("--ends-with", metavar="PID", help="Stop when that process ends.", hidden=True)]


@app.command()
def up(*, data: Data = None, seed: Seed = True, ends_with: EndsWith = None, as_json: Json = False) -> None:
    """Start the platform and keep it running until Ctrl-C."""
    settings = settings_of(data)
    run(_up(settings, ends_with, _announce_json if as_json else _announce, with_demo=seed))


async def _up(settings: Settings, ends_with: int | None, announce: Announce, *, with_demo: bool) -> None:
    began = time.monotonic()
    with until_asked(ends_with):
        async with running(settings, tell) as platform:
            demo = await _demo(platform.wiring) if with_demo else None
            announce(platform, demo, time.monotonic() - began)
            await asyncio.Event().wait()


async def _demo(wiring: Wiring) -> Demo:
    kept = Demo.load(wiring.layout.demo)
    if kept and kept.complete:
        return kept
    from stack.demo.seed import seed as fill  # noqa: PLC0415 - gRPC's imports are paid when there is something to seed

    tell("filling the demo organisation")
    return await fill(wiring)


def _announce(platform: Platform, demo: Demo | None, seconds: float) -> None:
    table.show_platform(console, platform.state)
    if demo:
        table.show_demo(console, demo)
    console.print(f"Up in {seconds:.1f} s, data in {escape(str(platform.layout.data))}. Ctrl-C stops it.")


def _announce_json(platform: Platform, demo: Demo | None, seconds: float) -> None:
    said = {**platform.state.model_dump(), "seconds": round(seconds, 3), "demo": demo.model_dump() if demo else None}
    print(json.dumps(said), flush=True)


@app.command()
def down(*, data: Data = None) -> None:
    """Stop the platform that runs in another terminal, or what is left of a killed one."""
    settings = settings_of(data)
    layout = Layout(settings.data)
    state = State.load(layout.state)
    if state is None:
        console.print("Nothing runs.")
        return
    if supervisor := state.supervisor.process():
        supervisor.terminate()
        if survivors([supervisor], DOWN_SECONDS):
            stop_with(f"it did not stop within {DOWN_SECONDS:g} s; see the logs in {layout.logs}")
    else:
        leftovers.end(state)
        layout.state.unlink(missing_ok=True)
    console.print("Stopped.")


@app.command()
def status(*, data: Data = None, as_json: Json = False) -> None:
    """Show what runs; exit 1 unless everything is ready."""
    state = State.load(Layout(settings_of(data).data).state)
    alive = bool(state and state.supervisor.process())
    if as_json:
        print(json.dumps({"running": alive, **(state.model_dump() if state else {})}))
    elif state:
        table.show_platform(console, state)
    else:
        console.print("Nothing runs. Start it with `kith up`.")
    if not (state and alive and state.is_ready):
        raise typer.Exit(1)


@app.command()
def migrate(*, data: Data = None) -> None:
    """Bring databases, roles and streams to what this release says; `kith up` does so too."""
    settings = settings_of(data)
    state = State.load(Layout(settings.data).state)
    run(_migrate_running(Wiring.of(settings, state)) if state and state.is_ready else _migrate_stopped(settings))
    console.print("Databases and streams are up to date.")


async def _migrate_running(wiring: Wiring) -> None:
    from stack.prepare import prepare  # noqa: PLC0415 - its imports cost a second that the other commands need not pay

    await prepare(wiring)


async def _migrate_stopped(settings: Settings) -> None:
    with until_asked():
        async with backing(settings, tell):
            pass


@app.command()
def seed(*, data: Data = None) -> None:
    """Make the demo organisation in the platform that runs, if it is not there yet."""
    settings = settings_of(data)
    state = State.load(Layout(settings.data).state)
    if not (state and state.is_ready):
        stop_with("the platform does not run; start it with `kith up`")
    run(_seed_running(Wiring.of(settings, state)))


async def _seed_running(wiring: Wiring) -> None:
    table.show_demo(console, await _demo(wiring))


@app.command()
def reindex(*, data: Data = None) -> None:
    """Let the search of the platform that runs find what it does not find yet, after a release that says so; it may be repeated."""
    settings = settings_of(data)
    state = State.load(Layout(settings.data).state)
    if not (state and state.is_ready):
        stop_with("the platform does not run; start it with `kith up`")
    run(_reindex_running(Wiring.of(settings, state)))


async def _reindex_running(wiring: Wiring) -> None:
    from services.crm.reindex import reindex as renew  # noqa: PLC0415 - a service's imports are paid by the command that needs them

    console.print(f"{await renew(wiring.dsn('crm', 'migrator'), wiring.dsn('crm', 'runtime'))} records.")


@app.command()
def doctor(*, data: Data = None, as_json: Json = False) -> None:
    """Look at the machine and say what stands in the way, with the fix; exit 1 if something does."""
    findings = doctors.examine(settings_of(data))
    if as_json:
        print(json.dumps([vars(finding) for finding in findings]))
    else:
        table.show_findings(console, findings)
    if any(finding.fix for finding in findings):
        raise typer.Exit(1)
