"""A platform of a test's own, whose processes it may kill."""

import asyncio
import random
import signal
import subprocess
from collections import Counter
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Final

import psutil
from psycopg.conninfo import make_conninfo

from chassis import names
from stack.layout import Layout
from stack.settings import Settings
from stack.state import State
from stack.topology import EDGE, NATS, POSTGRES, SERVICES
from stack.wiring import Wiring
from tests import running
from tests.unit.chassis.moving import eventually

VICTIMS: Final = (*(service.name for service in SERVICES), EDGE.name, NATS, POSTGRES)
POLL: Final = 0.05
PAUSE: Final = 1.0  # seconds between two kills, on average
SETTLE_SECONDS: Final = 120.0


class Shaken:
    """The processes of one `kith up`, each killed by the id that its supervisor wrote down."""

    def __init__(self, folder: Path) -> None:
        self._data = folder / "data"
        self._log = folder / "up.log"

    def up(self, **environment: str) -> None:
        """Start the platform and wait until all of it answers."""
        process = running.spawn([running.KITH, "up", "--no-seed", "--data", str(self._data)], self._log, **environment)
        running.wait_until_ready(self._data, process, self._log)

    def down(self) -> None:
        """Stop it."""
        subprocess.run([running.KITH, "down", "--data", str(self._data)], check=True, stdout=subprocess.DEVNULL)

    @property
    def state(self) -> State:
        """What the supervisor says now."""
        state = State.load(Layout(self._data).state)
        assert state, self._log.read_text()
        return state

    @property
    def wiring(self) -> Wiring:
        """Addresses and credentials."""
        return Wiring.of(Settings.load(self._data), self.state)

    def database(self, service: str) -> str:
        """Return the administrator's connection string to a service's database."""
        return make_conninfo(self.wiring.admin_dsn(), dbname=names.database(service))

    def process(self, name: str) -> psutil.Process | None:
        """Return a process if it runs."""
        known = self.state.processes[name].id
        return known.process() if known else None

    def signal(self, name: str, number: signal.Signals) -> bool:
        """Send a signal; False if the process is just being started again."""
        process = self.process(name)
        if process:
            process.send_signal(number)
        return process is not None

    async def settled(self) -> None:
        """Return when every process answers again."""
        await eventually(lambda: self.state.is_ready, seconds=SETTLE_SECONDS, pause=POLL)

    async def restarted(self, name: str, before: int) -> None:
        """Return when a process that had been restarted that often was restarted once more and answers."""
        await eventually(lambda: self.state.processes[name].restarts > before and self.state.is_ready, seconds=SETTLE_SECONDS, pause=POLL)


async def kill_at_random(platform: Shaken, dice: random.Random, *, kills: int) -> Counter[str]:
    """Kill that many processes in rounds of all of them, each while others may still be coming back.

    Return how often each was killed, once all of them answer again: the supervisor may not have noticed the last deaths by then.
    """
    killed: Counter[str] = Counter()
    restarts: dict[str, int] = {}
    for name in islice(_rounds(dice), kills):
        await asyncio.sleep(dice.uniform(0, 2 * PAUSE))
        await eventually(lambda name=name: platform.process(name) is not None, seconds=SETTLE_SECONDS, pause=POLL)  # type: ignore[misc]
        restarts[name] = platform.state.processes[name].restarts
        platform.signal(name, signal.SIGKILL)
        killed[name] += 1
    for name, before in restarts.items():
        await platform.restarted(name, before)
    return killed


def _rounds(dice: random.Random) -> Iterator[str]:
    while True:
        yield from dice.sample(VICTIMS, len(VICTIMS))
