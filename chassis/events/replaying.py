"""Letters handed in again: what an operator marked goes through its handlers once more, in the lane of its key like any event."""

import asyncio
from typing import Final

import psycopg
import structlog

from chassis.database.pipeline import Pipeline
from chassis.events import letters
from chassis.events.envelope import Envelope
from chassis.events.faults import Failure, Verdict
from chassis.events.handling import Handling
from chassis.events.lanes import Lanes
from chassis.events.letters import Letter
from chassis.telemetry import metrics

BATCH: Final = 100  # letters taken up at once
POLL: Final = 1.0  # seconds between two looks for marked letters, which also count all
PAUSE: Final = 5.0  # seconds after something that we stand on was away

log = structlog.get_logger()


class Replaying:
    """Takes up the letters of one stream on the connection of whoever leads its consumer, and counts them.

    A letter goes when its event was handled. Between the two a kill may come: the event is then handed in again, and the
    inbox knows it.
    """

    def __init__(self, handling: Handling, lanes: Lanes, *, stream: str) -> None:
        self._handling = handling
        self._lanes = lanes
        self._stream = stream

    async def run(self, connection: Pipeline) -> None:
        """Work until cancelled; whoever takes the consumer over counts from then on."""
        gauge = metrics.DEAD_LETTERS.labels(self._handling.group, self._stream)
        try:
            while True:
                pause = PAUSE
                try:
                    gauge.set(await letters.count(connection, self._stream))
                    pause = await self._take_up(connection)
                except (psycopg.Error, OSError) as error:
                    log.warning("letters_interrupted", stream=self._stream, error_type=type(error).__name__)
                except Exception:
                    log.exception("letters_failed", stream=self._stream)  # a fault of ours; the next look may find it mended
                await asyncio.sleep(pause)
        finally:
            metrics.DEAD_LETTERS.remove(self._handling.group, self._stream)

    async def _take_up(self, connection: Pipeline) -> float:
        """Hand in what is marked; return for how many seconds to leave it at that."""
        found = await letters.marked(connection, self._stream, BATCH)
        settled = await asyncio.gather(*(self._settle(connection, letter) for letter in found))
        if not all(settled):
            return PAUSE
        return 0 if len(found) == BATCH else POLL

    async def _settle(self, connection: Pipeline, letter: Letter) -> bool:
        """Hand a letter in and write down what became of it; False if it has to come again because something was away."""
        if not self._handling.knows(letter.type):
            await letters.keep(connection, letter, "nobody handles it")
            return True
        failure = await self._hand_in(letter)
        if failure is None:
            await letters.delete(connection, letter)
        elif failure.verdict is not Verdict.OUTAGE:
            await letters.keep(connection, letter, failure.reason)
        return failure is None or failure.verdict is not Verdict.OUTAGE

    async def _hand_in(self, letter: Letter) -> Failure | None:
        """Return what came out when it was the letter's turn."""
        envelope, handling = Envelope.of_headers(letter.headers), self._handling.under(letter.consumer)
        came_out: asyncio.Future[Failure | None] = asyncio.get_running_loop().create_future()

        async def handle() -> None:
            failure = await handling.handle(envelope, letter.payload)
            if not came_out.done():  # cancelled with the one who waits
                came_out.set_result(failure)

        self._lanes.add(envelope.lane, handle)
        return await came_out
