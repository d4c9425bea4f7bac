"""Dead letters where they lie: in the database of the service whose consumer buried them, reached with its system role."""

import json
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, Final

import psycopg
import typer

from stack.terminal import stop_with
from stack.topology import SERVICES
from stack.wiring import Wiring

if TYPE_CHECKING:
    from chassis.database.pipeline import Pipeline
    from chassis.events.mending import Choice, Seen

NAMES: Final = [service.name for service in SERVICES]

Service = Annotated[str, typer.Option("--service", metavar="NAME", help="Only of this service's consumer.")]
Kind = Annotated[str, typer.Option("--type", metavar="TYPE", help='Only of this type, such as "identity.member.created.v1".')]
Ids = Annotated[list[str] | None, typer.Argument(metavar="ID", help="Ids of letters.", show_default=False)]
Everything = Annotated[bool, typer.Option("--all", help="All that there are.")]

Act = Callable[["Pipeline", "Choice"], Awaitable[list["Seen"]]]


@dataclass(frozen=True)
class Found:
    """A letter, and the service in whose database it lies."""

    service: str
    letter: "Seen"

    @property
    def place(self) -> tuple[str, str, str]:
        """Return what is this letter's and no other's."""
        return self.service, self.letter.consumer, self.letter.id


async def everywhere(wiring: Wiring, service: str, act: Act, choice: "Choice") -> list[Found]:
    """Do something about the chosen letters of a service, or of all when it is empty; return them. Raises ConnectionError."""
    from chassis.database.pool import pipeline  # noqa: PLC0415 - paid by the commands that reach a database

    found = []
    for name in services(service):
        try:
            async with pipeline(wiring.dsn(name, "system")) as connection:
                found += [Found(name, letter) for letter in await act(connection, choice)]
        except psycopg.OperationalError as error:
            raise ConnectionError(f"the database of {name} does not answer: {type(error).__name__}") from None
    return found


def services(service: str) -> Sequence[str]:
    """Return the services that are meant; end the command if there is none of that name."""
    if service and service not in NAMES:
        stop_with(f"there is no service {service!r}; there are {', '.join(NAMES)}")
    return [service] if service else NAMES


def print_json(found: Iterable[Found]) -> None:
    """Print letters for scripts."""
    print(json.dumps([{"service": each.service, **asdict(each.letter)} for each in found], default=_text))


def _text(value: Any) -> str:
    if isinstance(value, datetime):
        return value.isoformat()
    raise TypeError(type(value).__name__)
