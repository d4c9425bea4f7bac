"""A stretch of a stream that is handled once more because an operator asked for it, beside what comes newly."""

import asyncio
from typing import Final

import nats.errors
import structlog
from nats.js.api import ConsumerInfo

from chassis import names
from chassis.events import stretches
from chassis.events.broker import Broker
from chassis.events.handling import Handling
from chassis.events.intake import Intake
from chassis.events.lanes import Lanes
from chassis.events.stretches import Stretch

WINDOW: Final = 16  # events that are here at once: few, so that new events of other keys need not stand behind them
LOOK: Final = 5.0  # seconds between two looks whether something was asked for
WATCH: Final = 1.0  # seconds between two looks how far it is

log = structlog.get_logger()


class Rereading:
    """Runs in the process that leads a stream's consumer, with its handlers and in its lanes."""

    def __init__(self, broker: Broker, handling: Handling, lanes: Lanes, *, stream: str) -> None:
        self._broker = broker
        self._handling = handling
        self._lanes = lanes
        self._stream = stream

    async def run(self) -> None:
        """Do what is asked for, until cancelled."""
        while True:
            try:
                info = await self._info()
                if info:
                    await self._reread(Stretch.of(info))
            except (nats.errors.Error, OSError) as error:
                log.warning("rereading_interrupted", stream=self._stream, error_type=type(error).__name__)
            except Exception:
                log.exception("rereading_failed", stream=self._stream)  # a fault of ours; the next look may find it mended
            await asyncio.sleep(LOOK)

    async def _info(self) -> ConsumerInfo | None:
        return await stretches.find(self._broker.jetstream, service=self._handling.group, stream=self._stream)

    async def _reread(self, stretch: Stretch) -> None:
        """Handle the stretch from where it was left, and take the consumer away; an operator who does so earlier ends it."""
        log.info("rereading_begun", stream=self._stream, replay=stretch.id)
        intake = self._intake(stretch)
        running = asyncio.create_task(intake.run())
        try:
            while not running.done() and (info := await self._info()) and stretch.left(info):
                await asyncio.wait([running], timeout=WATCH)
            intake.stop()
            await running
        finally:
            running.cancel()
        await stretches.end(self._broker.jetstream, service=self._handling.group, stream=self._stream)
        log.info("rereading_ended", stream=self._stream, replay=stretch.id)

    def _intake(self, stretch: Stretch) -> Intake:
        return Intake(
            self._broker,
            self._handling.under(f"{self._handling.group}#{stretch.id}"),
            self._lanes,
            stream=self._stream,
            durable=names.rereader(self._handling.group),
            window=WINDOW,
            stopping=asyncio.Event(),
            until=stretch.until,
        )
